"""A TCP proxy that can lose what a server answers: the request gets there, the client hears nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class CuttingProxy:
    """Made by `cutting_proxy`. Passes everything on, until told to cut."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._marker: bytes | None = None
        self._then_refuse = self._refusing = self._swallowing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.cuts = 0
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def lose_next_answer_to(self, request: bytes, *, then_refuse: bool = False) -> None:
        """Cut the connection once, when the server begins to answer a request that holds these bytes.

        then_refuse: from then on nobody is let in, until `let_in`.
        """
        self._marker = request
        self._then_refuse = then_refuse

    def refuse(self) -> None:
        """Let nobody in, until `let_in`."""
        self._refusing = True

    def let_in(self) -> None:
        self._refusing = False

    def swallow_answers(self, wanted: bool = True) -> None:
        """Keep connections open, and pass on nothing of what the server says."""
        self._swallowing = wanted

    def cut_all(self) -> None:
        """Reset every connection that is open now."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        self.connections += 1
        self._writers.add(writer)
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(upstream_writer)
        doomed = False

        async def up() -> None:
            nonlocal doomed
            while data := await reader.read(1 << 16):
                if self._marker is not None and self._marker in data:
                    self._marker, doomed = None, True
                upstream_writer.write(data)
                await upstream_writer.drain()

        async def down() -> None:
            while data := await upstream_reader.read(1 << 16):
                if doomed:
                    self.cuts += 1
                    if self._then_refuse:
                        self._refusing = True
                        self.cut_all()
                    return
                if not self._swallowing:
                    writer.write(data)
                    await writer.drain()

        tasks = [asyncio.ensure_future(up()), asyncio.ensure_future(down())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in (writer, upstream_writer):
                end.transport.abort()
                self._writers.discard(end)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def cutting_proxy(port: int) -> AsyncIterator[CuttingProxy]:
    """A proxy in front of 127.0.0.1:port, on a free port of its own."""
    proxy = CuttingProxy(port)
    server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut_all()
