"""Whatever is packed comes out whole, and nothing comes out as whole that is not."""

from __future__ import annotations

import gzip
import random
import sys
import zlib
from collections.abc import Callable

import brotli
import pytest

from migctl.server.access.packing import PACKINGS, STEP_BYTES, Unreadable, unpacked

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def raw(body: bytes) -> bytes:
    one = zlib.compressobj(wbits=-15)
    return one.compress(body) + one.flush()


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate without a header": ("deflate", raw),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstd.compress),
}
noise = random.Random(1).randbytes(3000)


@pytest.fixture(params=PACKED)
def packing(request: pytest.FixtureRequest) -> tuple[str, Callable[[bytes], bytes]]:
    return PACKED[request.param]


@pytest.mark.parametrize("size", [0, 1, STEP_BYTES - 1, STEP_BYTES, STEP_BYTES + 1, 4 * STEP_BYTES])
def test_every_length_comes_out_whole_in_steps(
    packing: tuple[str, Callable[[bytes], bytes]], size: int
) -> None:
    coding, pack = packing
    for body in (bytes(size), (noise * (size // len(noise) + 1))[:size]):
        pieces = list(unpacked(pack(body), coding))
        assert b"".join(pieces) == body
        assert max(len(piece) for piece in pieces) <= 2 * STEP_BYTES  # br goes beyond its limit by a little


def test_cut_anywhere_it_is_not_taken(packing: tuple[str, Callable[[bytes], bytes]]) -> None:
    coding, pack = packing
    whole = pack(b'[{"event_type":"a","data":{}}]' * 20)
    for length in range(1, len(whole)):
        with pytest.raises(Unreadable):
            list(unpacked(whole[:length], coding))


def test_a_bit_that_turned_or_rubbish_at_the_end_is_not_taken_where_there_is_a_checksum() -> None:
    whole = gzip.compress(noise)
    for at in (len(whole) - 8, len(whole) - 1, len(whole) // 2):
        turned = bytearray(whole)
        turned[at] ^= 1
        with pytest.raises(Unreadable):
            list(unpacked(bytes(turned), "gzip"))


@pytest.mark.parametrize("coding", PACKINGS)
def test_rubbish_is_not_taken(coding: str) -> None:
    for body in (b"{}", b"\xff" * 100, gzip.compress(b"{}") + b"{}", brotli.compress(b"{}") + b"{}"):
        with pytest.raises(Unreadable):
            list(unpacked(body, coding))


def test_a_window_above_eight_mib_is_nobody_s_right() -> None:
    options = {zstd.CompressionParameter.window_log: 25, zstd.CompressionParameter.content_size_flag: 0}
    one = zstd.ZstdCompressor(options=options)
    wide = one.compress(bytes(1000)) + one.flush()
    with pytest.raises(Unreadable):
        list(unpacked(wide, "zstd"))
