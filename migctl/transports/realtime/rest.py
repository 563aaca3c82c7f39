"""PostgREST of one project and schema, as service_role: own bytes out, the answer's bytes back, errors classified.

The official client is not used here: its JSON rounds digits, and it hides what came back.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx

from migctl.config import Target
from migctl.transports.realtime import errors

# Long enough for 4 MiB on a slow line; a server that is gone is told by the connection, not by this.
TIMEOUT = httpx.Timeout(15.0, connect=5.0)


def is_loopback(url: str) -> bool:
    """True where the address is this machine: a proxy of the environment must not be asked then."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Rest:
    """Requests to `/rest/v1`. Every call raises Transient, Systemic, Poison or Refused, nothing of httpx."""

    def __init__(self, target: Target, schema: str) -> None:
        key = target.need("service_role_key")
        self.schema = schema
        self._base = f"{target.supabase_url}/rest/v1"
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT,
            trust_env=not is_loopback(target.supabase_url),
            headers={
                "apikey": key,
                "Authorization": f"Bearer {key}",
                "Content-Profile": schema,
                "Accept-Profile": schema,
                "User-Agent": "migctl",
            },
        )
        self._was_401 = False

    async def get(self, action: str, path: str) -> bytes:
        """The body of a select. path: `table?query`; action: what is tried, for the error."""
        return await self._request(action, "GET", path, None, {})

    async def post(self, action: str, path: str, body: bytes, *, prefer: str) -> bytes:
        """Insert rows, or call `rpc/function`."""
        return await self._request(
            action, "POST", path, body, {"Content-Type": "application/json", "Prefer": prefer}
        )

    async def _request(
        self, action: str, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> bytes:
        try:
            answer = await self._client.request(
                method, f"{self._base}/{path}", content=body, headers=dict(headers)
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise errors.of_exception(action, error) from error
        again, self._was_401 = not self._was_401, answer.status_code == 401
        if answer.is_success:
            return answer.content
        raise errors.of_answer(action, answer.status_code, answer.content, retry_401=again)

    async def aclose(self) -> None:
        await self._client.aclose()
