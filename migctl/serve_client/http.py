"""Requests to a `serve`: its address and token, bounded answers, and errors that say what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import httpx

from migctl import redaction
from migctl.config.address import base_url, is_local
from migctl.errors import Usage
from migctl.serve_client.answers import Answer
from migctl.serve_client.errors import NotRunning
from migctl.target.bodies import read
from migctl.target.errors import FAILED_REQUEST, words

# Above a page of the read API, and above the answer to the largest request.
ANSWER_BYTES = 64 << 20
# Of steps as long as the timeout that a request may take in all: a large body over a slow line has many, one that drips none.
_STEPS = 10


class _Compressed(Exception):
    """A few bytes of it may be gigabytes."""


class ServeHttp:
    """Raises nothing of httpx. `aclose` it.

    url: where `migctl serve` listens. token: for a server that asks for one. timeout_s: for each step of a request: connecting, a
    part sent, a part heard; ten of them are the most that it takes in all. answer_bytes: what is above is not read.
    transport: what it is reached by, where that is not its address. explain: the error to raise for a request without an answer.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = 3.0,
        answer_bytes: int = ANSWER_BYTES,
        headers: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        explain: Callable[[Exception], NotRunning] | None = None,
    ) -> None:
        """Raises Usage for what is no address, or no token."""
        self.url = base_url(url)
        self._explain = explain
        self._whole_s = _STEPS * timeout_s
        self._answer_bytes = answer_bytes
        self._urls: dict[
            str, httpx.URL
        ] = {}  # by path, of which there are few: parsing costs as much as sending
        try:
            self._url_of("/")
            self._client = httpx.AsyncClient(
                headers={
                    "User-Agent": "migctl",
                    "Accept-Encoding": "identity",
                    **bearer(token),
                    **(headers or {}),
                },
                timeout=timeout_s,
                transport=transport,
                # To read the certificates takes a while, and on a busy machine longer than a brake may: not for nothing.
                verify=not self.url.startswith("http://"),
                # A proxy of the environment is for the world, not for this machine.
                trust_env=not is_local(self.url),
            )
        except httpx.InvalidURL as error:
            raise Usage(f"{url!r} is no address: {error}", do="write http://HOST:PORT") from None

    async def aclose(self) -> None:
        await self._client.aclose()

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """Raises NotRunning where nothing answers."""
        return await self._request("GET", path, params=params)

    async def post(self, path: str, content: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """Raises NotRunning where nothing answers; whether the request got there is not known then."""
        return await self._request("POST", path, content=content, headers=headers)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        client, url = self._client, self._url_of(path)
        request = client.build_request(method, url, params=params, content=content, headers=headers)
        try:
            async with asyncio.timeout(self._whole_s):
                answer = await client.send(request, stream=True)
                try:
                    if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
                        raise _Compressed(f"HTTP {answer.status_code}, compressed, which was not asked for")
                    body, whole = await read(answer, self._answer_bytes)
                finally:
                    await answer.aclose()
        except TimeoutError as error:
            raise self._unanswered(path, f"not within {self._whole_s:g} s", error) from None
        except _Compressed as error:
            raise self._unanswered(path, str(error), error) from None
        except FAILED_REQUEST as error:
            raise self._unanswered(path, words(error), error) from error
        return Answer(f"{self.url}{path}", answer.status_code, body, answer.headers, whole)

    def _url_of(self, path: str) -> httpx.URL:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = httpx.URL(f"{self.url}{path}")
        return url

    def _unanswered(self, path: str, why: str, error: Exception) -> NotRunning:
        if self._explain is not None:
            return self._explain(error)
        return NotRunning(
            f"{self.url}{path}: no answer: {why}", do="start `migctl serve` there, or give its address"
        )


def bearer(token: str | None) -> dict[str, str]:
    """The header that brings a token; it is hidden from now on. Raises Usage for what can't be sent, without quoting it."""
    if not token:
        return {}
    redaction.know(token)
    if not token.isascii() or not token.isprintable() or token != token.strip():
        raise Usage(
            "the token for serve has a character that no token has (a line end, a blank at its end)",
            do="give it as `migctl token mint` printed it",
        )
    return {"Authorization": f"Bearer {token}"}
