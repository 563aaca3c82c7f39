"""One direction of a connection whose other end is gone, which the kernel knows before we are told."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time

from migctl.faults.lane import Lane
from migctl.faults.pipeline import Pipeline
from migctl.faults.stages import Mark


async def test_a_stream_that_ends_after_a_reset_is_ended_like_any_other() -> None:
    ended: list[Mark] = []
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        transport, _ = await loop.create_connection(asyncio.Protocol, *listening.getsockname())
        lane = Lane(Pipeline(0.0, random.Random(1).random), ended=ended.append, passed=lambda _: None)
        lane.target = transport
        accepted, _ = listening.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.close()
        time.sleep(0.1)  # the loop does not hear of it meanwhile
        lane.put(b"", Mark.END)
    assert ended == [Mark.END]
    transport.abort()
