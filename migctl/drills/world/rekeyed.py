"""Rekeyed: a reader of Realtime alone that is made anew when its keys are others, and goes on at its position.

What an application does that is started again with new keys: nobody else tells it, since it knows only the project.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Self

from migctl.drills.world.reader_keys import ReaderKeys
from migctl.events import Position
from migctl.subscriber.core.flow import Batch
from migctl.subscriber.core.merge import Merge
from migctl.subscriber.realtime.subscriber import RealtimeSubscriber

READ_EVERY_S = 0.1

Make = Callable[[str, Position | None], RealtimeSubscriber]


class Rekeyed:
    """Use as a context manager, and take its batches once. keys: the file of `ReaderKeys`.

    make: gives a reader, by the key of readers and the position that it goes on after.
    """

    def __init__(self, keys: Path, make: Make, *, read_every_s: float = READ_EVERY_S) -> None:
        self._path = keys
        self._make = make
        self._read_every_s = read_every_s
        self._anon_key = ReaderKeys.read(keys).anon_key
        self._reader = make(self._anon_key, None)
        self._reconnects = 0
        self._closed = False

    async def __aenter__(self) -> Self:
        await self._reader.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._closed = True
        await self._reader.__aexit__(kind)

    @property
    def reconnects(self) -> int:
        return self._reconnects + self._reader.reconnects

    @property
    def position(self) -> Position | None:
        return self._reader.position

    @property
    def merge(self) -> Merge:
        return self._reader.merge

    @property
    def idle(self) -> bool:
        return self._reader.idle

    async def ready(self) -> Position | None:
        return await self._reader.ready()

    async def ask_head(self) -> Position | None:
        return await self._reader.ask_head()

    async def batches(self) -> AsyncIterator[Batch]:
        """As those of a reader, over all that are made. Raises what ends one of them."""
        while True:
            reader = self._reader
            ending = asyncio.create_task(self._end_with_its_keys(reader))
            try:
                async for batch in reader.batches():
                    yield batch
            finally:
                ending.cancel()
                await asyncio.wait({ending})
            if self._closed:
                return
            ending.result()
            self._reconnects += reader.reconnects + 1
            self._reader = self._make(self._anon_key, reader.position)
            await self._reader.__aenter__()

    async def _end_with_its_keys(self, reader: RealtimeSubscriber) -> None:
        """Once the keys are others the reader is closed, which ends its batches after those that are ready."""
        while (found := ReaderKeys.read(self._path).anon_key) == self._anon_key:
            await asyncio.sleep(self._read_every_s)
        self._anon_key = found
        await reader.__aexit__(None)
