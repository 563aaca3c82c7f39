"""A target that answers with bytes which are no HTTP, no socket, or more than anybody could hold: an error of ours, no more."""

from __future__ import annotations

import asyncio
import json

import pytest

from migctl.config import Target
from migctl.errors import MigctlError, Systemic, Transient
from migctl.target.rest import Patience, Rest
from migctl.transports.realtime.channel import joined
from migctl.transports.realtime.endpoint import Endpoint
from tests.kit.memory import at_most_mib
from tests.kit.raw_server import ANSWERS, RawServer, frame, packed, raw_server
from tests.kit.receiving import given

# A value came of these, and it is one: what it says is for who asked.
READABLE = {
    "a charset that is none",
    "a cookie that is none",
    "first a hundred times 100",
    "HTTP/0.9",
}


def _deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


FRAMES: dict[str, bytes] = {
    "a list": b"[1,2]",
    "no JSON": b"hello",
    "no UTF-8": b"\xff\xfe",
    "a ref of 5000 digits": b'{"event":"phx_reply","topic":"realtime:t","ref":%b}' % (b"9" * 5000),
    "half a character as the reason": b'{"event":"phx_reply","topic":"realtime:t","ref":"1","payload":{"status":"error",'
    b'"response":{"reason":"\\ud800"}}}',
    "a reason without end": b'{"event":"phx_reply","topic":"realtime:t","ref":"1","payload":{"status":"error",'
    b'"response":{"reason":"%b"}}}' % (b"x" * 500_000),
    "a reason that is numbers": b'{"event":"phx_reply","topic":"realtime:t","ref":"1","payload":{"status":"error",'
    b'"response":{"reason":{"a":"\\ud800","b":1%b}}}}' % (b"0" * 5000),
    "an error that is no text": b'{"event":"system","topic":"realtime:t","payload":{"status":"error","message":{"a":[]}}}',
    **{
        f"{levels} levels in {place}": text % _deep(levels)
        # Around where the interpreter's stack ends, which is another place for each who goes down.
        for levels in (400, *range(920, 1000, 4), 5000)
        for place, text in {
            "the topic": b'{"event":"x","topic":%b}',
            "the ref": b'{"event":"x","topic":"realtime:t","ref":%b}',
            "the reason": b'{"event":"phx_reply","topic":"realtime:t","ref":"1","payload":{"status":"error","response":%b}}',
            "the message": b'{"event":"system","topic":"realtime:t","payload":{"status":"error","message":%b}}',
            "the event": b'{"event":"broadcast","topic":"realtime:t","payload":{"event":%b}}',
        }.items()
    },
}


async def _get(raw: RawServer) -> bytes:
    target = Target(raw.url, service_role_key="key")
    rest = Rest(target, "public", Patience(20.0, 20.0, 20.0))
    try:
        return await rest.get("ask", "table?select=seq")
    finally:
        await rest.aclose()


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_of_any_bytes_is_an_error_of_ours_and_little_memory(name: str) -> None:
    async with raw_server() as raw:
        raw.answer = ANSWERS[name]
        with at_most_mib(64):
            try:
                await _get(raw)
            except (Transient, Systemic) as error:
                assert error.what.isprintable()
                assert len(error.what) < 1000
            else:
                assert name in READABLE


async def test_while_a_bomb_is_read_everything_else_has_its_turn() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with raw_server() as raw:
        raw.answer = ANSWERS["a refusal that is a bomb"]
        counting = asyncio.create_task(count())
        with pytest.raises(MigctlError):
            await _get(raw)
        counting.cancel()
    # A refusal is read to 4 MiB, in steps of a quarter of one.
    assert turns > 16


async def test_a_packed_answer_is_read() -> None:
    import gzip
    import zlib

    rows = json.dumps([{"seq": n} for n in range(3000)]).encode()
    async with raw_server() as raw:
        for answer in (packed(gzip.compress(rows)), packed(zlib.compress(rows), b"deflate")):
            raw.answer = answer
            assert await _get(raw) == rows


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_socket_that_is_answered_with_any_bytes_is_an_error_of_ours(name: str) -> None:
    async with raw_server() as raw:
        raw.answer = ANSWERS[name]
        with pytest.raises((Transient, Systemic)) as raised:
            async with joined(raw.url, apikey="key", topics=["t"], token=given("token")):
                raise AssertionError("joined")
        assert len(raised.value.what) < 1000
        assert raw.asked == 1, "a redirect is followed, with the key"


@pytest.mark.parametrize("name", FRAMES)
async def test_a_socket_that_says_anything_is_an_error_of_ours(name: str) -> None:
    async with raw_server() as raw:
        raw.answer, raw.sockets = frame(FRAMES[name]), True
        with pytest.raises((Transient, Systemic)) as raised:
            async with joined(raw.url, apikey="key", topics=["t"], token=given("token")):
                raise AssertionError("joined")
        assert raised.value.what.isprintable()
        assert len(raised.value.what) < 1000


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_broadcast_by_http_that_is_answered_with_any_bytes_is_an_error_of_ours(name: str) -> None:
    async with raw_server() as raw:
        raw.answer = ANSWERS[name]
        endpoint = Endpoint(Target(raw.url, service_role_key="key"))
        with at_most_mib(64):
            try:
                await endpoint.post("topic", "events", b"{}")
            except MigctlError as error:
                assert len(error.what) < 1000
            finally:
                await endpoint.aclose()
