"""Bodies that are made to hurt: packed a thousandfold, millions of values, never sent to their end. Others don't notice."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import sys
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import brotli
import httpx
import pytest

from migctl.events.jsontext import TooMany, check_count, split_array, split_object
from migctl.ingest.http import MAX_EVENTS, BadBody, split_body
from migctl.server.access.tokens import Token, Tokens
from tests.kit.memory import at_most_mib
from tests.kit.raw_server import bomb
from tests.kit.served import Served, serving

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GOOD = {"event_type": "a", "data": {"n": 1}}
MIB = 1 << 20


@contextlib.asynccontextmanager
async def turns() -> AsyncIterator[list[int]]:
    """How often the event loop came round meanwhile."""
    counted = [0]

    async def count() -> None:
        while True:
            counted[0] += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(count())
    try:
        yield counted
    finally:
        task.cancel()


async def _post(served: Served, body: bytes, **headers: str) -> httpx.Response:
    return await served.http.post(
        "/events", content=body, headers={key.replace("_", "-"): value for key, value in headers.items()}
    )


async def test_what_is_packed_is_taken_as_what_it_was(tmp_path: Path) -> None:
    body = json.dumps([GOOD] * 1000).encode()
    raw = zlib.compressobj(wbits=-15)
    async with serving(tmp_path) as served:
        for packed, coding in (
            (gzip.compress(body), "gzip"),
            (gzip.compress(body), "X-GZIP"),
            (gzip.compress(body[:5000]) + gzip.compress(body[5000:]), "gzip"),
            (zlib.compress(body), "deflate"),
            (raw.compress(body) + raw.flush(), "deflate"),
            (brotli.compress(body), "br"),
            (zstd.compress(body), "zstd"),
            (zstd.compress(body[:5000]) + zstd.compress(body[5000:]), "zstd"),
            (body, "identity"),
        ):
            answer = await _post(served, packed, Content_Encoding=coding)
            assert (answer.status_code, answer.json().get("accepted")) == (201, 1000), (coding, answer.text)


@pytest.mark.parametrize(
    ("body", "coding", "status", "code"),
    [
        (bomb(512 * MIB), "gzip", 413, "large"),
        (zlib.compress(bytes(64 * MIB)), "deflate", 413, "large"),
        (gzip.compress(bytes(15 * MIB)), "gzip", 413, "large"),
        (gzip.compress(b"{}")[:-5], "gzip", 400, "encoding"),
        (b"{}", "gzip", 400, "encoding"),
        (brotli.compress(bytes(64 * MIB), quality=1), "br", 413, "large"),
        (zstd.compress(bytes(64 * MIB)), "zstd", 413, "large"),
        (b"{}", "lzma", 415, "encoding"),
        (b"{}", "gzip, gzip", 415, "encoding"),
    ],
    ids=[
        "a bomb",
        "zeros deflated",
        "zeros",
        "cut",
        "not packed",
        "a bomb of br",
        "of zstd",
        "unknown",
        "packed twice",
    ],
)
async def test_what_is_packed_to_hurt_is_refused_in_little_memory(
    tmp_path: Path, body: bytes, coding: str, status: int, code: str
) -> None:
    async with serving(tmp_path) as served:
        with at_most_mib(64):
            answer = await _post(served, body, Content_Encoding=coding)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
        assert (await served.http.post("/events", json=GOOD)).status_code == 201


async def test_without_a_token_nothing_is_inflated(tmp_path: Path) -> None:
    tokens = Tokens((Token("ingest", "p", "0" * 64),))
    async with serving(tmp_path, tokens=tokens) as served, turns() as counted:
        body = bomb(1024 * MIB)
        answers = await asyncio.gather(*(_post(served, body, Content_Encoding="gzip") for _ in range(8)))
        assert {answer.status_code for answer in answers} == {401}
        # The loop came round for each piece that arrived, and waited for no step of inflating.
        assert counted[0] > 8


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"0," * (8 * MIB - 2) + b"0]",
        b"[" + b"[]," * (5 * MIB) + b"[]]",
        b"[" + b'"",' * (5 * MIB) + b'""]',
        b"\n" * (16 * MIB - 2) + b"{}",
        b"{}\n" * (5 * MIB),
        b"{}" + b" \n" * (7 * MIB) + b"{}",
        b"{" + b",".join(b'"%x":0' % n for n in range(1_500_000)) + b"}",
        b"[{" + b",".join(b'"%x":0' % n for n in range(1_500_000)) + b"}]",
        b'{"id":{' + b",".join(b'"%x":0' % n for n in range(1_400_000)) + b"}}",
    ],
    ids=[
        "numbers",
        "arrays",
        "texts",
        "blank lines",
        "lines",
        "blanks",
        "members",
        "members of an item",
        "members of an id",
    ],
)
async def test_millions_of_values_are_refused_before_they_are_made(tmp_path: Path, body: bytes) -> None:
    assert len(body) <= 16 * MIB
    async with serving(tmp_path) as served:
        with at_most_mib(192):
            answer = await _post(served, body)
        assert answer.status_code in (413, 422)
        assert served.journal.head == 0


def test_what_is_in_strings_and_deeper_is_not_counted() -> None:
    inner = b"[" + b"0," * 200_000 + b"0]"
    text = b"[" + json.dumps("," * 200_000).encode() + b"," + inner + b"]"
    assert len(split_array(text, 2)) == 2
    assert list(split_object(b'{"a":%b,"b,":%b}' % (text, inner))) == ["a", "b,"]
    with pytest.raises(TooMany):
        check_count(inner, 200_000)
    check_count(inner, 200_001)


def test_so_many_lines_as_may_be_are_taken_and_not_one_more() -> None:
    lines = b"\x1e{} \r\n \n\n" * MAX_EVENTS
    assert split_body(lines, "application/x-ndjson") == [b"{}"] * MAX_EVENTS
    assert len(split_body(lines + b"{}\n{}", "application/x-ndjson")) == MAX_EVENTS + 1
    with pytest.raises(BadBody):
        split_body(b"[" + b"0," * 200_000 + b"0]")
