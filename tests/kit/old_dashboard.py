"""An old dashboard: a client of the old service that counts what it gets, and knows nothing of us."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed


class Dashboard:
    """events: the number in each event that it got. others: the types of everything else. code: that it was closed with."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: list[int] = []
        self.others: list[str] = []
        self.code: int | None = None

    async def read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in self.socket:
                frame = json.loads(message)
                if "n" in frame.get("data", ()):
                    self.events.append(frame["data"]["n"])
                else:
                    self.others.append(frame["type"])
        self.code = self.socket.close_code


@contextlib.asynccontextmanager
async def dashboard(url: str) -> AsyncIterator[Dashboard]:
    async with connect(url, proxy=None) as socket:
        one = Dashboard(socket)
        reading = asyncio.create_task(one.read())
        yield one
        await socket.close()
        await reading
