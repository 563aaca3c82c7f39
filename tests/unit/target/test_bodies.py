"""The bytes of an answer, inflated in steps and no further than they may go."""

from __future__ import annotations

import gzip
import zlib

import httpx
import pytest

from migctl.target.bodies import read


def _answer(body: bytes, coding: str | None) -> httpx.Response:
    headers = {"Content-Encoding": coding} if coding else {}
    return httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))


@pytest.mark.parametrize("text", [b"", b"[]", bytes(3 << 20)])
async def test_a_body_is_what_it_was_before_it_was_packed(text: bytes) -> None:
    for body, coding in (
        (text, None),
        (text, "identity"),
        (gzip.compress(text), "gzip"),
        (gzip.compress(text), " X-GZip "),
        (zlib.compress(text), "deflate"),
        (b"", "gzip"),
    ):
        assert await read(_answer(body, coding), 3 << 20) == (text if body else b"", True)


@pytest.mark.parametrize("coding", [None, "gzip"])
async def test_no_more_is_read_than_may_be(coding: str | None) -> None:
    text = b"0" * (1 << 20)
    body = gzip.compress(text) if coding else text
    assert await read(_answer(body, coding), len(text) - 1) == (text[:-1], False)


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (b"[]", "gzip"),
        (gzip.compress(b"[1,2,3]")[:-9], "gzip"),
        (gzip.compress(b"[]") + b"more", "gzip"),
        (gzip.compress(gzip.compress(b"[]")), "gzip, gzip"),
        (b"[]", "br"),
    ],
    ids=["not packed", "cut", "goes on", "packed twice", "unknown"],
)
async def test_what_is_not_packed_as_it_says_is_no_answer(body: bytes, coding: str) -> None:
    with pytest.raises(httpx.DecodingError):
        await read(_answer(body, coding), 1 << 20)
