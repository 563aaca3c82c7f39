"""A stream alone, against a gateway that makes a mistake: a socket that speaks the protocol, and skips a seq."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve

from migctl.subscriber import Release
from migctl.subscriber.gateway.subscriber import WebsocketSubscriber

EPOCH = "e"
AT = "2026-01-05T12:00:00Z"


def event(seq: int) -> str:
    return json.dumps(
        {
            "type": "t", "data": {"n": seq}, "timestamp": AT, "id": f"00000000-0000-4000-8000-{seq:012d}", "seq": seq,
            "source": "s", "committed_at": AT,
        }
    )  # fmt: skip


async def test_a_gateway_that_leaves_a_hole_is_left_and_asked_again_from_before_it() -> None:
    asked: list[str | None] = []

    async def gateway(socket: ServerConnection) -> None:
        assert socket.request is not None
        after = parse_qs(urlsplit(socket.request.path).query).get("after", [None])[0]
        asked.append(after)
        resume = "fresh" if after is None else "recovered"
        hello = {
            "v": 2,
            "epoch": EPOCH,
            "head": 0 if after is None else 3,
            "tail": 1,
            "resume": resume,
            "reason": None,
        }
        await socket.send(json.dumps({"type": "sys.hello", "data": hello, "timestamp": AT}))
        for seq in (1, 3) if after is None else (2, 3):
            await socket.send(event(seq))
        beat = {"type": "sys.hb", "data": {"epoch": EPOCH, "head": 1}, "timestamp": AT}
        while True:  # it is no silence that ends the first socket
            await socket.send(json.dumps(beat))
            await asyncio.sleep(0.5)

    async with serve(gateway, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(30), WebsocketSubscriber(f"ws://127.0.0.1:{port}/ws") as subscriber:
            seqs: list[int] = []
            async for item in subscriber:
                assert isinstance(item, Release)
                seqs.append(item.seq)
                if len(seqs) == 3:
                    break
    assert (seqs, asked[0], asked[1]) == ([1, 2, 3], None, "1")
