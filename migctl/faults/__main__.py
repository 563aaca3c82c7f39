"""The TCP proxy's own process: see `proxy_process`."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import msgspec
import uvloop

from migctl.events.jsontext import read_as
from migctl.faults.addresses import HOST
from migctl.faults.proxy_process import Answer, Hello, Order
from migctl.faults.tcp_proxy import TcpProxy, tcp_proxy
from migctl.faults.upstream import Upstream, upstream_of


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


async def _main(upstream: Upstream) -> None:
    """The echo is reached through a proxy of its own in the same loop with the same delay: what a bare round trip costs here."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    echo = await loop.create_server(_Echo, HOST, 0)
    async with tcp_proxy(upstream) as proxy, tcp_proxy(echo.sockets[0].getsockname()[1]) as pinged:
        _answer(Hello(proxy.port, pinged.port))
        while line := await lines.readline():
            try:
                await _obey(proxy, read_as(line, Order))
            except (ValueError, OSError) as error:
                _answer(Answer(proxy.counts, str(error)))
                continue
            pinged.delay_s = proxy.delay_s
            _answer(Answer(proxy.counts))


async def _obey(proxy: TcpProxy, order: Order) -> None:
    """Raises ValueError for what the proxy does not take, OSError where it can't listen."""
    match order.do:
        case "add" if order.toxic is not None:
            proxy.add(order.toxic)
        case "remove":
            proxy.remove(str(order.value))
        case "enable":
            await proxy.enable(bool(order.value))
        case word:
            proxy.do(word, order.value)  # type: ignore[arg-type]  # it refuses what is no word


def _answer(document: msgspec.Struct) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(_main(upstream_of(sys.argv[1])))
