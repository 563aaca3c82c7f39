"""PostgREST of one project and schema, as service_role: own bytes out, the answer's bytes back, errors classified.

The official client is not used here: its JSON rounds digits, and it hides what came back. An answer is read as far as what was
asked for can be long, and no further; what it says is read by `answers`.

An answer is awaited for as long as answers took of late; so is a connection. The two are measured apart: a handshake over a long
line says nothing of how quick the table is.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import httpx

from migctl import clock
from migctl.config import Target
from migctl.config.address import is_local
from migctl.errors import MigctlError
from migctl.resilience import RequestTimeout
from migctl.target import errors
from migctl.target.bodies import PACKED, read

if TYPE_CHECKING:
    from migctl.config.settings import TimeoutSection


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request may take, in seconds, for those who have no settings."""

    initial_s: float
    min_s: float
    max_s: float


@dataclass(frozen=True, slots=True)
class _Answer:
    body: bytes
    content_range: str


Timeouts: TypeAlias = "TimeoutSection | Patience"

# For those who ask once (a command, an admin route) and would take a slow answer rather than none: no earlier answer shortens it.
# The relay asks all the time, and gives `resilience.request_timeout`.
PATIENT = Patience(initial_s=15.0, min_s=15.0, max_s=15.0)

# Of a few rows without their data.
SMALL_BYTES = 64 << 10
# Of rows with their data: one has a MiB of it, and jsonb writes some numbers longer than they came.
LARGE_BYTES = 64 << 20
# Of a refusal. The database quotes the value that it refuses.
REFUSAL_BYTES = 4 << 20

# A connection that was idle for longer is not trusted with a request: much that stands between closes it silently after a while.
IDLE_S = 30.0

# What httpcore tells of a request. From its beginning on the other side is asked; what was before is the connection's time.
_CONNECTS = "connection.connect_tcp.started"
_REQUEST_BEGINS = "http11.send_request_headers.started"


def _bounds(timeouts: TimeoutSection | Patience) -> tuple[float, float, float]:
    return timeouts.initial_s, timeouts.min_s, timeouts.max_s


def as_server(target: Target) -> dict[str, str]:
    """Headers of a request with the project's key for servers."""
    key = target.need("service_role_key")
    return {"apikey": key, "Authorization": f"Bearer {key}"}


class Rest:
    """Requests to `/rest/v1`. Every call raises Transient, Systemic, Poison or Refused, nothing of httpx."""

    def __init__(self, target: Target, schema: str, timeouts: Timeouts = PATIENT) -> None:
        target.need("service_role_key")
        self._target = target
        self.schema = schema
        self._base = f"{target.supabase_url}/rest/v1"
        self._client = httpx.AsyncClient(
            timeout=None,  # one deadline covers a request, see _request
            limits=httpx.Limits(keepalive_expiry=IDLE_S),
            trust_env=not is_local(target.supabase_url),
            verify=not target.supabase_url.startswith(
                "http://"
            ),  # to read the certificates takes a while, for nothing
            headers={
                "Content-Profile": schema,
                "Accept-Profile": schema,
                "User-Agent": "migctl",
                "Accept-Encoding": PACKED,
            },
        )
        self._was_401 = False
        bounds = _bounds(timeouts)
        self._connecting, self._answering = RequestTimeout(*bounds), RequestTimeout(*bounds)
        self.timeout_s = self._answering.seconds()  # of the last request

    def follow(self, timeouts: Timeouts) -> None:
        """Other bounds for the next request on."""
        for one in (self._connecting, self._answering):
            one.bound(*_bounds(timeouts))

    async def get(
        self, action: str, path: str, *, answer_bytes: int = 0, most_bytes: int = SMALL_BYTES
    ) -> bytes:
        """The body of a select. path: `table?query`; action: what is tried, for the error.

        answer_bytes: about how many will come, where that is more than a few. most_bytes: above it raises TooLarge.
        """
        kind = functools.partial(errors.of_answer, action)
        return (await self._request(action, "GET", path, None, {}, answer_bytes, most_bytes, kind)).body

    async def count(self, action: str, path: str) -> str:
        """How many rows there are, as the answer to a select of one of them says it: the text of `Content-Range`."""
        kind = functools.partial(errors.of_answer, action)
        answer = await self._request(
            action, "GET", path, None, {"Prefer": "count=exact"}, 0, SMALL_BYTES, kind
        )
        return answer.content_range

    async def post(
        self,
        action: str,
        path: str,
        body: bytes,
        *,
        prefer: str,
        most_bytes: int = SMALL_BYTES,
        blames: bool = False,
        fenced: bool = False,
        refusals: Mapping[str, type[MigctlError]] = MappingProxyType({}),
    ) -> bytes:
        """Insert rows, or call `rpc/function`.

        blames, fenced, refusals: as in `errors.of_answer`; without them a refusal is Systemic, whatever it says.
        """
        headers = {"Content-Type": "application/json", "Prefer": prefer}
        kind = functools.partial(errors.of_answer, action, blames=blames, fenced=fenced, refusals=refusals)
        return (await self._request(action, "POST", path, body, headers, len(body), most_bytes, kind)).body

    async def _request(
        self,
        action: str,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        size: int,
        most_bytes: int,
        refused: Callable[..., MigctlError],
    ) -> _Answer:
        began = clock.mono()
        asked: float | None = None  # when the connection was there and the request began
        is_new = False

        async def trace(event: str, _: object) -> None:
            nonlocal asked, is_new
            is_new = is_new or event == _CONNECTS
            if event == _REQUEST_BEGINS and not deadline.expired():
                asked = clock.mono()
                deadline.reschedule(asyncio.get_running_loop().time() + self.timeout_s)

        self.timeout_s = self._answering.seconds(size)
        connect_s = self._connecting.seconds()
        try:
            async with (
                asyncio.timeout(connect_s) as deadline,
                self._client.stream(
                    method,
                    f"{self._base}/{path}",
                    content=body,
                    headers={**headers, **as_server(self._target)},
                    extensions={"trace": trace},
                ) as answer,
            ):
                content, whole = await read(answer, most_bytes if answer.is_success else REFUSAL_BYTES)
        except TimeoutError:
            if asked is None:
                self._connecting.timed_out()
                raise errors.timed_out(action, "no connection", connect_s) from None
            self._answering.timed_out(size)
            raise errors.timed_out(action, "no answer", self.timeout_s) from None
        except errors.FAILED_REQUEST as error:
            raise errors.of_exception(action, error) from error
        again, self._was_401 = not self._was_401, answer.status_code == 401
        if not answer.is_success:
            raise refused(answer.status_code, content, retry_401=again)
        if not whole:
            raise errors.too_large(action, most_bytes)
        if asked is not None:
            if is_new:
                self._connecting.answered(asked - began)
            self._answering.answered(clock.mono() - asked, size)
        return _Answer(content, answer.headers.get("Content-Range", ""))

    async def aclose(self) -> None:
        await self._client.aclose()
