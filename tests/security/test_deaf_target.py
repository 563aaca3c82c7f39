"""A Realtime that joins, and then reads nothing: what was begun to be sent does not hold up the end of the channel."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.server import ServerConnection, serve

from migctl.transports.realtime.channel import joined
from migctl.transports.realtime.exchange import ChannelLost

WITHIN_S = 60.0


async def _deaf(socket: ServerConnection) -> None:
    join = json.loads(await socket.recv())
    reply = {**join, "event": "phx_reply", "payload": {"status": "ok", "response": {}}}
    await socket.send(json.dumps(reply))
    socket.transport.pause_reading()
    await socket.wait_closed()


async def _token() -> str:
    return "a token"


@pytest.mark.slow
async def test_a_channel_whose_server_reads_nothing_is_lost_and_left() -> None:
    async with serve(_deaf, "127.0.0.1", 0, ping_interval=None, close_timeout=0.1, max_size=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(ChannelLost):
                async with joined(
                    f"http://127.0.0.1:{port}", apikey="k", topics=["a"], token=_token
                ) as channel:
                    while True:
                        await channel.push("a", "events", b'{"x":"%b"}' % (b"y" * (1 << 20)))
