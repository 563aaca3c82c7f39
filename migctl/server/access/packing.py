"""What `Content-Encoding` of a request may be, and how each is unpacked: in steps, to its end, and no bit of it guessed."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STEP_BYTES = 256 << 10
# RFC 9659 lets nobody ask for a larger window (8 MiB).
_WINDOW_LOG = 23


class Unreadable(Exception):
    """It is not what it says, or is cut."""


class _Unpacker(Protocol):
    """Of one member. ended: its end has come, its checksum is right; `rest` is what follows it."""

    def step(self, data: bytes) -> bytes:
        """STEP_BYTES, about, of what is in it; without data what is left of the last."""
        ...

    @property
    def ended(self) -> bool: ...

    @property
    def rest(self) -> bytes: ...


class _Zlib:
    def __init__(self, window: int) -> None:
        self._one = zlib.decompressobj(window)

    def step(self, data: bytes) -> bytes:
        return self._one.decompress(data or self._one.unconsumed_tail, STEP_BYTES)

    @property
    def ended(self) -> bool:
        return self._one.eof

    @property
    def rest(self) -> bytes:
        return self._one.unused_data


class _Brotli:
    rest = b""  # what follows its end is an error of it

    def __init__(self) -> None:
        self._one = brotli.Decompressor()

    def step(self, data: bytes) -> bytes:
        piece: bytes = self._one.process(data, output_buffer_limit=STEP_BYTES)
        return piece

    @property
    def ended(self) -> bool:
        return bool(self._one.is_finished())


class _Zstd:
    def __init__(self) -> None:
        self._one = zstd.ZstdDecompressor(
            options={int(zstd.DecompressionParameter.window_log_max): _WINDOW_LOG}
        )

    def step(self, data: bytes) -> bytes:
        return self._one.decompress(data, STEP_BYTES)

    @property
    def ended(self) -> bool:
        return self._one.eof

    @property
    def rest(self) -> bytes:
        return self._one.unused_data


def _gzip(_: bytes) -> _Unpacker:
    return _Zlib(16 + zlib.MAX_WBITS)


def _deflate(body: bytes) -> _Unpacker:
    # Some send it without its header, as browsers once did.
    return _Zlib(zlib.MAX_WBITS if body[0] & 0xF == 8 else -zlib.MAX_WBITS)


PACKINGS: Mapping[str, Callable[[bytes], _Unpacker]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": lambda _: _Brotli(),
    "zstd": lambda _: _Zstd(),
}


def unpacked(body: bytes, packing: str) -> Iterator[bytes]:
    """What is in it, in pieces of STEP_BYTES, about. Raises Unreadable, possibly after some of them."""
    left = body
    try:
        while left:
            member = PACKINGS[packing](left)
            piece = member.step(left)
            yield piece
            while not member.ended:
                piece = member.step(b"")
                if not piece and not member.ended:
                    raise Unreadable(f"its {packing} does not end")
                yield piece
            left = member.rest
    except (zlib.error, brotli.error, zstd.ZstdError, EOFError) as error:
        raise Unreadable(str(error)) from None
