"""A reader's pages: asked for by rows, bounded in bytes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import respx

from migctl.subscriber.realtime.tables import FIRST_ROWS, Tables
from migctl.subscriber.realtime.token import Token
from migctl.target.errors import TooLarge
from migctl.target.rest import LARGE_BYTES

URL = "http://127.0.0.1:9"
MIB = b" " * (1 << 20)
ROW: dict[str, Any] = {
    "id": "0190a000-0000-7000-8000-00000000000a", "seq": 8, "event_type": "cpu", "timestamp": "2026-01-31T12:00:00+00:00",
    "source": "s", "data": {}, "committed_at": None,
}  # fmt: skip


class Vast(httpx.AsyncByteStream):
    """An answer of more than is ever read; counts what was."""

    def __init__(self) -> None:
        self.given = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.given += len(MIB)
            yield MIB


async def _rows(fits: int) -> tuple[list[int], list[Vast], object]:
    """Ask for a page of a table of which so many rows fit into an answer: the limits asked for, and what came."""
    asked: list[int] = []
    vast: list[Vast] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(int(request.url.params["limit"]))
        if asked[-1] <= fits:
            return httpx.Response(200, content=json.dumps([ROW]).encode())
        vast.append(Vast())
        return httpx.Response(200, stream=vast[-1])

    async def token() -> str:
        return "token"

    tables = Tables(URL, "anon", "public", Token(token))
    with respx.mock() as mock:
        mock.route().mock(side_effect=answer)
        try:
            came: object = await tables.rows("e", 7)
        except TooLarge as error:
            came = error
    await tables.aclose()
    return asked, vast, came


async def test_a_page_that_is_too_large_is_asked_for_again_in_halves() -> None:
    asked, vast, came = await _rows(30)
    assert asked == [FIRST_ROWS, FIRST_ROWS // 2, FIRST_ROWS // 4, FIRST_ROWS // 8]
    assert all(each.given <= LARGE_BYTES + len(MIB) for each in vast)
    assert isinstance(came, list)
    assert [item.seq for item in came] == [8]


async def test_one_row_that_is_too_large_is_said() -> None:
    asked, _, came = await _rows(0)
    assert asked[-1] == 1
    assert isinstance(came, TooLarge)
    assert "read monitoring_events of e after 7" in came.what


async def test_an_address_names_an_epoch_as_it_is_whatever_it_is() -> None:
    tables = Tables(URL, "anon", "public", Token(lambda: _text("token")))
    with respx.mock() as mock:
        route = mock.route().respond(200, content=b"[]")
        assert await tables.rows("a&b=c d#é", 7) == []
        assert route.calls.last.request.url.params["epoch"] == "eq.a&b=c d#é"
    await tables.aclose()


async def _text(text: str) -> str:
    return text
