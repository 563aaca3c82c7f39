"""Bytes of a file, a packed file or a pipe, as they come, and never by blocking the event loop."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import sys
import zlib
from collections.abc import AsyncGenerator

from migctl.ingest.files import File

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNK_BYTES = 256 << 10


class Unpackable(Exception):
    """A packed file that is cut or broken; what came before came."""


async def of_file(file: File) -> AsyncGenerator[bytes, None]:
    """From its offset to its end. Raises Unpackable."""
    if file.packing is not None:
        async for chunk in _unpacked(file):
            yield chunk
        return
    offset = file.offset
    while chunk := await asyncio.to_thread(os.pread, file.fd, CHUNK_BYTES, offset):
        offset += len(chunk)
        yield chunk


async def _unpacked(file: File) -> AsyncGenerator[bytes, None]:
    packed = io.FileIO(os.dup(file.fd))
    os.lseek(packed.fileno(), 0, os.SEEK_SET)
    stream = gzip.GzipFile(fileobj=packed) if file.packing == "gzip" else zstd.ZstdFile(packed)
    skip = file.offset
    try:
        with packed, stream:
            # One step at a time: a longer read would lose what it has when it meets the break.
            while chunk := await asyncio.to_thread(stream.read1, CHUNK_BYTES):
                if len(chunk) > skip:
                    yield chunk[skip:]
                skip = max(0, skip - len(chunk))
    except (OSError, EOFError, zlib.error, zstd.ZstdError) as error:
        raise Unpackable(str(error)) from None


async def of_stream(fd: int, *, regular: bool) -> AsyncGenerator[bytes, None]:
    """Chunks as they come. A read starts only when there is something, so that no thread hangs in it when we are cancelled."""
    loop = asyncio.get_running_loop()
    polled = not regular
    while True:
        if polled:
            try:
                await _readable(loop, fd)
            except OSError:  # what can't be polled (/dev/null) does not block either
                polled = False
        try:
            chunk = os.read(fd, CHUNK_BYTES) if polled else await asyncio.to_thread(os.read, fd, CHUNK_BYTES)
        except BlockingIOError:  # another process read it first
            continue
        if not chunk:
            return
        yield chunk


async def _readable(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(fd)
