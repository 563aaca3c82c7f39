"""Bodies: the bytes of an answer, as far as what was asked for can be long. They are inflated in steps, and no further than that.

httpx inflates each piece that arrives whole, and whatever was packed within: 64 KiB can be 64 MiB of memory, and of what was packed
twice 64 GiB. So it is done here: one layer, gzip or deflate, and the loop has its turn between two steps.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx

# What one step may give, so that nothing else waits for it.
STEP_BYTES = 256 << 10
# What a request says that it takes.
PACKED = "gzip, deflate"

_WINDOW = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


async def read(answer: httpx.Response, most_bytes: int) -> tuple[bytes, bool]:
    """The body of an answer that is streamed, and whether that is all of it: what is above `most_bytes` is not read.

    Raises what httpx does, DecodingError also for what is packed in another way than it says, or in one that we don't know.
    """
    body = bytearray()
    async with aclosing(_pieces(answer)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > most_bytes:
                return bytes(body[:most_bytes]), False
    return bytes(body), True


async def _pieces(answer: httpx.Response) -> AsyncGenerator[bytes]:
    packing = answer.headers.get("Content-Encoding", "").strip().lower()
    if packing in ("", "identity"):
        async for piece in answer.aiter_raw():
            yield piece
        return
    if packing not in _WINDOW:
        raise httpx.DecodingError(f"an answer in an unknown encoding: {packing[:40]!r}")
    inflater = zlib.decompressobj(_WINDOW[packing])
    some = False
    async for piece in answer.aiter_raw():
        some = some or bool(piece)
        left = piece
        while left:
            try:
                yield inflater.decompress(left, STEP_BYTES)
            except zlib.error as error:
                raise httpx.DecodingError(f"an answer that is no {packing}: {error}") from None
            if inflater.unused_data:
                raise httpx.DecodingError(f"an answer that goes on after its {packing}")
            left = inflater.unconsumed_tail
            await asyncio.sleep(0)
    if some and not inflater.eof:
        raise httpx.DecodingError(f"an answer whose {packing} does not end")
