"""Readers over WebSocket and HTTP: the v2 stream and pages of the journal, which resume, and the old protocol, which does not."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tests.crash.history.content import digest, loads, marker_of
from tests.crash.history.records import History

_LOST = (WebSocketException, aiohttp.ClientError, TimeoutError, OSError, EOFError)
_SILENCE_S = 15.0
_LISTEN_S = 0.5
Place = tuple[str, int]


class Reader(ABC):
    """What they share: a name in the history, and a position."""

    kind = ""
    is_run = True

    def __init__(self, name: str, rng: random.Random, base: str, history: History) -> None:
        """base: HOST:PORT."""
        self.name = name
        self.place: Place | None = None
        self.stays = False  # leaves no more by its own wish
        self.connected = False
        self.newest = ""  # the marker of what it received last
        self.header: Callable[[], dict[str, str]] = dict
        self._rng = rng
        self._base = base
        self._history = history

    @abstractmethod
    async def run(self) -> None:
        """Read until cancelled, over whatever is killed."""

    def _opened(self, after: Place | None) -> None:
        self._history.write("open", r=self.name, kind=self.kind, after=after, run=self.is_run)
        if after is not None:
            self.place = after

    def _from(self) -> Place | None:
        """Where to go on: at the position, or somewhat before it, as one that was set back."""
        drawn = self._rng.random()
        if self.place is None or self.stays or drawn > 0.1:
            return self.place
        # Or as one that was away for long, for whom the journal may have nothing any more.
        back = self._rng.randrange(200) if drawn > 0.02 else self._rng.randrange(self.place[1] + 1)
        return self.place[0], max(0, self.place[1] - back)

    def _event(self, epoch: str, frame: dict[str, Any]) -> None:
        data, seq = frame["data"], int(frame["seq"])
        self._history.write(
            "event",
            r=self.name,
            epoch=epoch,
            seq=seq,
            m=marker_of(data),
            d=digest(frame["type"], frame["timestamp"], data),
            s=frame["source"],
            id=frame["id"],
        )
        self.place, self.newest = (epoch, seq), marker_of(data)

    async def _received(self, socket: ClientConnection, take: Callable[[dict[str, Any]], None]) -> None:
        """Hand each frame on, until the drawn end of this socket; then leave, politely or not."""
        loop, rng = asyncio.get_running_loop(), self._rng
        self.connected = True
        until = loop.time() + rng.expovariate(1 / 15)
        slow_until = loop.time() + (rng.uniform(0, 3) if rng.random() < 0.2 else 0)
        while self.stays or loop.time() < until:
            try:
                text = await asyncio.wait_for(socket.recv(), _LISTEN_S)
            except TimeoutError:
                continue
            take(loads(text))
            if loop.time() < slow_until:
                await asyncio.sleep(0.02)
        if rng.random() < 0.5:
            socket.transport.abort()


class Returning(Reader):
    """One connection after another, of which each ends by its own wish or is lost."""

    async def run(self) -> None:
        while True:
            try:
                await self._once()
                why = "its own wish"
            except _LOST as error:
                why = f"{type(error).__name__} {error}"[:100]
            self.connected = False
            self._history.write("close", r=self.name, why=why)
            await asyncio.sleep(self._rng.uniform(0, 0.6))

    @abstractmethod
    async def _once(self) -> None:
        """One connection, to its end."""


class Stream(Returning):
    """A v2 socket. It leaves now and then, reads slowly now and then, and resumes at its position."""

    kind = "stream"

    async def _once(self) -> None:
        after = self._from()
        query = "" if after is None else f"&epoch={after[0]}&after={after[1]}"
        self._opened(after)
        async with _socket(f"ws://{self._base}/ws?v=2{query}", self.header()) as socket:
            hello = loads(await asyncio.wait_for(socket.recv(), _SILENCE_S))
            data = hello["data"]
            self._history.write(
                "hello",
                r=self.name,
                epoch=data["epoch"],
                head=int(data["head"]),
                tail=int(data["tail"]),
                resume=data["resume"],
                reason=data["reason"],
            )
            epoch = data["epoch"]
            if data["resume"] != "recovered":
                self.place = (epoch, int(data["head"]))
            await self._received(socket, lambda frame: self._take(epoch, frame))

    def _take(self, epoch: str, frame: dict[str, Any]) -> None:
        if "seq" in frame:
            self._event(epoch, frame)


class Legacy(Returning):
    """A socket of the old protocol: what is new, without positions."""

    kind = "legacy"
    is_run = False

    async def _once(self) -> None:
        self._opened(None)
        async with _socket(f"ws://{self._base}/ws", self.header()) as socket:
            await self._received(socket, self._take)

    def _take(self, frame: dict[str, Any]) -> None:
        data = frame["data"]
        self.newest = marker_of(data)
        self._history.write(
            "event", r=self.name, m=self.newest, d=digest(frame["type"], frame["timestamp"], data)
        )


class Pages(Returning):
    """`GET /events`, page by page from the beginning, or as far as it is still held."""

    kind = "pages"

    async def _once(self) -> None:
        async with aiohttp.ClientSession() as http:
            for _ in range(self._rng.randrange(1, 60)):
                if not await self._page(http):
                    await asyncio.sleep(self._rng.uniform(0.1, 0.8))

    async def _page(self, http: aiohttp.ClientSession) -> int:
        """How many came."""
        after = self._from()
        query = {"limit": "1000" if self.stays else str(self._rng.choice((1, 7, 100, 1000)))}
        if after is not None:
            query |= {"epoch": after[0], "after": str(after[1])}
        if after is not None:
            self._opened(after)
        within = aiohttp.ClientTimeout(total=_SILENCE_S)
        async with http.get(
            f"http://{self._base}/events", params=query, headers=self.header(), timeout=within
        ) as answer:
            text = await answer.text()
        if answer.status == 410 and after is not None:
            held = loads(text)
            self._history.write("gone", r=self.name, epoch=held["epoch"], tail=int(held["tail"]))
            self.place = None
            return 0
        if answer.status != 200:
            raise aiohttp.ClientError(f"{answer.status} {text[:100]}")
        page = loads(text)
        epoch, head, tail = page["epoch"], int(page["head"]), int(page["tail"])
        if after is None:
            after = (epoch, tail - 1)
            self._opened(after)
        self._history.write(
            "hello", r=self.name, epoch=epoch, head=head, tail=tail, resume="recovered", reason=None
        )
        for frame in page["events"]:
            self._event(epoch, frame)
        return len(page["events"])


def _socket(address: str, headers: dict[str, str]) -> connect:
    return connect(
        address,
        additional_headers=headers,
        max_size=None,
        open_timeout=10,
        close_timeout=1,
        ping_interval=5,
        ping_timeout=10,
        proxy=None,
    )
