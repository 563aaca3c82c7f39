"""Requests to a `serve` over real sockets: bounded in size and time, and never an error of the HTTP library."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from migctl.errors import Usage
from migctl.serve_client import NotRunning, ServeHttp
from migctl.serve_client.http import bearer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def answering(*parts: bytes, every_s: float = 0.0, then_close: bool = True) -> AsyncIterator[str]:
    """A server that answers whatever is asked with these parts."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(every_s)
            if not then_close:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def client(url: str, timeout_s: float = 5.0, answer_bytes: int = 1000) -> AsyncIterator[ServeHttp]:
    http = ServeHttp(url, timeout_s=timeout_s, answer_bytes=answer_bytes)
    try:
        yield http
    finally:
        await http.aclose()


async def test_answer_is_read_whole_and_knows_what_was_asked() -> None:
    async with answering(OK) as url, client(f"{url}/ws".replace("http", "ws", 1)) as http:
        answer = await http.get("/api/status", {"a": "b c"})
        assert (answer.status, answer.content, answer.whole) == (200, b"{}", True)
        assert answer.where == f"{url}/api/status"


async def test_answer_without_an_end_is_cut_at_its_bound() -> None:
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + 100_000 * b"x"
    async with answering(endless, then_close=False) as url, client(url) as http:
        answer = await http.get("/")
        assert (answer.whole, len(answer.content)) == (False, 1000)


async def test_answer_that_drips_is_given_up_although_each_part_comes_in_time() -> None:
    drops = (b"HTTP/1.1 200 OK\r\n\r\n", *(400 * [b"x"]))
    async with answering(*drops, every_s=0.05) as url, client(url, timeout_s=0.1) as http:
        async with asyncio.timeout(10):
            with pytest.raises(NotRunning, match="not within 1 s"):
                await http.get("/")


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}", b"what?\r\n\r\n"]
)
async def test_answer_that_is_none_is_nobody_there(answer: bytes) -> None:
    async with answering(answer) as url, client(url) as http:
        with pytest.raises(NotRunning, match="/events: no answer: ") as nobody:
            await http.post("/events", b"[]")
        assert "start `migctl serve`" in nobody.value.do


async def test_nobody_there_is_said_so() -> None:
    async with answering(OK) as url:
        pass
    async with client(url) as http:
        with pytest.raises(NotRunning):
            await http.get("/")


@pytest.mark.parametrize("url", ["127.0.0.1", "ftp://h", "http://", "http://h:port", "http://h:0"])
def test_what_is_no_address_is_usage(url: str) -> None:
    with pytest.raises(Usage, match="is no address"):
        ServeHttp(url)


@pytest.mark.parametrize("token", ["se\u00e9cret", "secret\n", "secret ", "secret\x01", "\tsecret"])
def test_token_that_can_not_be_sent_is_refused_and_not_quoted(token: str) -> None:
    with pytest.raises(Usage) as refused:
        bearer(token)
    assert "ecret" not in str(refused.value)


def test_token_is_sent_where_there_is_one() -> None:
    assert bearer("migctl_ingest_abc") == {"Authorization": "Bearer migctl_ingest_abc"}
    assert bearer(None) == bearer("") == {}
