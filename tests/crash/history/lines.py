"""Lines: a TCP port that passes to another one, and breaks as networks do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

_CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)


class Line:
    """`port` passes to `upstream`. What is set counts for connections that are open as for those that come.

    refusing: new connections are reset. held: nothing passes. deaf: what the server answers is thrown away.
    delay_s: each piece comes so much later. budget: so many bytes are still answered, then the connection is reset; None for all.
    """

    def __init__(self, name: str, upstream: Callable[[], int]) -> None:
        """upstream: asked at each connection."""
        self.name = name
        self.port = 0
        self.refusing = False
        self.deaf = False
        self.delay_s = 0.0
        self.budget: int | None = None
        self._upstream = upstream
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()

    def hold(self, on: bool) -> None:
        (self._flows.clear if on else self._flows.set)()

    def cut(self) -> None:
        """Reset every open connection."""
        for writer in list(self._writers):
            _reset(writer)

    def heal(self) -> None:
        """Pass everything again. Connections that lost bytes are cut: nobody goes on with a hole in its stream."""
        if self.deaf or self.budget is not None:
            self.cut()
        self.refusing = self.deaf = False
        self.delay_s, self.budget = 0.0, None
        self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        other: asyncio.StreamWriter | None = None
        try:
            if self.refusing:
                return
            answers, other = await asyncio.open_connection("127.0.0.1", self._upstream())
            self._writers.add(other)
            up = asyncio.create_task(self._pump(reader, other, answering=False))
            down = asyncio.create_task(self._pump(answers, writer, answering=True))
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            if up.done() and not up.exception() and not down.done():
                await asyncio.wait((down,), timeout=30)  # it has asked all that it wanted
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
        except OSError:
            pass
        finally:
            for one in (writer, other):
                if one is not None:
                    self._writers.discard(one)
                    _reset(one)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answering: bool
    ) -> None:
        while chunk := await reader.read(_CHUNK):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self._flows.wait()
            if answering and self.deaf:
                continue
            if answering and self.budget is not None:
                chunk = chunk[: max(self.budget, 0)]
                self.budget -= len(chunk)
                if not chunk or self.budget <= 0:
                    writer.write(chunk)
                    await asyncio.sleep(0)
                    raise ConnectionResetError
            writer.write(chunk)
            await writer.drain()
        if not answering:
            with contextlib.suppress(OSError, RuntimeError):
                writer.write_eof()
        else:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and not writer.is_closing():
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
