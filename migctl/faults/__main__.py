"""The TCP proxy's own process: see `proxy_process`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

import msgspec
import uvloop

from migctl.faults.link import HOST
from migctl.faults.proxy_process import Hello
from migctl.faults.tcp_proxy import tcp_proxy


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


async def _main(upstream: int) -> None:
    """The echo is reached through a proxy of its own in the same loop with the same delay: what a bare round trip costs here."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    echo = await loop.create_server(_Echo, HOST, 0)
    async with tcp_proxy(upstream) as proxy, tcp_proxy(echo.sockets[0].getsockname()[1]) as pinged:
        _answer(Hello(proxy.port, pinged.port))
        while line := await lines.readline():
            asked = json.loads(line)
            counts = proxy.do(asked["do"], asked.get("value"))
            pinged.delay_s = proxy.delay_s
            _answer(counts)


def _answer(document: msgspec.Struct) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
