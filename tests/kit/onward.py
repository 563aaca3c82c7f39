"""A proxy of the environment: CONNECT over HTTP, or SOCKS5, that leads to one port of this machine whatever it is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


@dataclass
class Onward:
    """asked: for which places, as `HOST:PORT`."""

    port: int = 0
    asked: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def onward(to_port: int, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Onward]:
    """By its first byte a client says which of the two it speaks."""
    proxy = Onward()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            first = await reader.readexactly(1)
            proxy.asked.append(await (_socks5 if first == b"\x05" else _connect)(reader, writer))
            there, here = await asyncio.open_connection("127.0.0.1", to_port)
            await asyncio.gather(_copy(reader, here), _copy(there, writer))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()


async def _connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    head = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    return head.split()[1].decode()


async def _socks5(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    await reader.readexactly((await reader.readexactly(1))[0])
    writer.write(b"\x05\x00")
    *_, kind = await reader.readexactly(4)
    assert kind == 3, "a name was wanted"
    name = await reader.readexactly((await reader.readexactly(1))[0])
    port = int.from_bytes(await reader.readexactly(2))
    writer.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
    return f"{name.decode()}:{port}"


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
