"""Gate: which connections stay. Before HTTP: one that says nothing, or half a request, has no token to be judged by.

| a connection                                  | it is dropped                                       | counted as |
|-----------------------------------------------|-----------------------------------------------------|------------|
| has not sent a whole head within `head_s`     | then, with 408                                      | `head`     |
| comes from where too many have said nothing   | the oldest of these, where it is no longer young    | `address`  |
| is one too many for this process              | one between requests, strangers first; else itself  | `full`     |
| does not read its answer for `unread_s`       | then; a socket that passed has bounds of its own    | `unread`   |
| has a request under way, or is a socket       | never else                                          | -          |
| is a control socket of this machine           | never                                               | -          |

A stranger is one that the guard has let through not once.

What comes over a socket is handed on in turns, a step of one socket between two of everybody else's: a quarter of a megabyte, which
is read at once, may be forty thousand frames.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Literal, cast

from aiohttp import web
from aiohttp.typedefs import Middleware

from migctl import clock
from migctl.telemetry import get_logger

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Why = Literal["head", "address", "full", "unread"]

HEAD_S = 10.0
# In this time at least the greater part of what the system buffers has to be read.
UNREAD_S = 60.0
_SOCKETS = "/ws"
MOST_UNKNOWN = 256
# Whoever comes back all at once has said who he is by then.
YOUNG_S = 1.0
# Descriptors for all else: journal, target, logs, threads, and what a request may open.
KEPT_DESCRIPTORS = 96
LEAST_CONNECTIONS = 16
LOGGED_EVERY_S = 10.0
# Of a socket: what is handed on at once, and else in each turn; a frame has six bytes at least.
SMALL_BYTES = 512
STEP_BYTES = 4 << 10

_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

log = get_logger("server")


class Gate:
    """Of one listener. dropped: counted there. most: connections; None: as many as there are descriptors for, asked each time.

    spared: addresses from which any number of strangers may come, such as a proxy of ours.
    """

    def __init__(
        self,
        dropped: Counter[str],
        *,
        head_s: float = HEAD_S,
        unread_s: float = UNREAD_S,
        most: int | None = None,
        most_unknown: int = MOST_UNKNOWN,
        young_s: float = YOUNG_S,
        spared: Callable[[str], bool] = lambda address: False,
    ) -> None:
        self._dropped = dropped
        self._head_s = head_s
        self.unread_s = unread_s
        self._most = most
        self._most_unknown = most_unknown
        self._young_s = young_s
        self._spared = spared
        # In the order in which they came; by what aiohttp calls them, too.
        self._open: dict[Watched, None] = {}
        self._by_transport: dict[int, Watched] = {}
        self._unknown: dict[str, dict[Watched, None]] = {}
        self._logged_at = float("-inf")
        self._turns: deque[Watched] = deque()

    @property
    def head_s(self) -> float:
        return self._head_s

    def watched(self, inner: asyncio.Protocol) -> Watched:
        """The protocol of a new connection, around aiohttp's."""
        return Watched(self, inner)

    def began(self, request: web.Request) -> None:
        """A whole head has come."""
        watched = self._of(request)
        if watched is not None:
            watched.begin(is_socket=request.path == _SOCKETS)

    def passed(self, request: web.Request) -> None:
        """The guard let it pass: it is known whose connection this is."""
        watched = self._of(request)
        if watched is not None:
            watched.known = True
            self._forget_unknown(watched)

    def ended(self, request: web.Request) -> None:
        """It was answered."""
        watched = self._of(request)
        if watched is not None:
            watched.end()

    def opened(self, watched: Watched) -> bool:
        """Whether this one stays; others may have had to go for it."""
        of_address = self._unknown.setdefault(watched.address, {})
        if len(of_address) >= self._most_unknown and not self._spared(watched.address):
            oldest = next(iter(of_address))
            if clock.mono() - oldest.since >= self._young_s and not oldest.busy:
                self.drop(oldest, "address")
        if len(self._open) >= self._room():
            victim = next((one for one in self._open if not one.busy and not one.known), None) or next(
                (one for one in self._open if not one.busy), None
            )
            self.drop(victim or watched, "full")
            if victim is None:
                if not of_address:
                    del self._unknown[watched.address]
                return False
        self._open[watched] = None
        self._unknown.setdefault(watched.address, {})[watched] = None
        self._by_transport[id(watched.transport)] = watched
        return True

    def queue(self, watched: Watched) -> None:
        """It has more than is handed on at once."""
        self._turns.append(watched)
        if len(self._turns) == 1:
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        watched = self._turns.popleft()
        try:
            if watched.hand_on(STEP_BYTES):
                self._turns.append(watched)
        finally:
            if self._turns:
                asyncio.get_running_loop().call_soon(self._turn)

    def closed(self, watched: Watched) -> None:
        if self._open.pop(watched, watched) is None:
            self._by_transport.pop(id(watched.transport), None)
        self._forget_unknown(watched)

    def drop(self, watched: Watched, why: Why) -> None:
        """Close it, count it, and say so now and then."""
        self._dropped[why] += 1
        watched.close(_LATE if why == "head" else b"")
        self.closed(watched)
        now = clock.mono()
        if now - self._logged_at >= LOGGED_EVERY_S:
            self._logged_at = now
            log.warning(
                "connections dropped",
                peer=watched.address,
                why=why,
                so_far=dict(self._dropped),
                open=len(self._open),
            )

    def _room(self) -> int:
        if self._most is not None:
            return self._most
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return max(LEAST_CONNECTIONS, soft - KEPT_DESCRIPTORS)

    def _of(self, request: web.Request) -> Watched | None:
        return self._by_transport.get(id(request.transport)) if request.transport is not None else None

    def _forget_unknown(self, watched: Watched) -> None:
        of_address = self._unknown.get(watched.address)
        if of_address is not None:
            of_address.pop(watched, None)
            if not of_address:
                del self._unknown[watched.address]


class Watched(asyncio.Protocol):
    """One connection: aiohttp's protocol, and whether a request is under way. since: when it came."""

    def __init__(self, gate: Gate, inner: asyncio.Protocol) -> None:
        self._gate = gate
        self._inner = inner
        self._late: asyncio.TimerHandle | None = None
        self._refused = False  # aiohttp has never heard of it
        self._deaf = False
        self.transport: asyncio.Transport | None = None
        self.address = ""
        self.busy = False
        self.known = False
        self._is_socket = False
        self._unread: asyncio.TimerHandle | None = None
        self._kept = bytearray()
        self.since = clock.mono()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are none by their class
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):  # else a socket file, whose mode has asked who it is
            self.address = str(peer[0])
            if not self._gate.opened(self):
                self._refused = True
                return
            self._wait_for_head()
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_watching_reader()
        if self.address:
            self._gate.closed(self)
        if not self._refused:
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self.address and not self.busy and self._late is None:
            self._wait_for_head()
        if self._is_socket and (self._kept or len(data) > SMALL_BYTES):
            assert self.transport is not None
            self.transport.pause_reading()
            self._kept += data
            if len(self._kept) == len(data):
                self._gate.queue(self)
            return
        self._inner.data_received(data)

    def hand_on(self, count: int) -> bool:
        """So many bytes of what is kept. True where there is more."""
        step = bytes(self._kept[:count])
        del self._kept[:count]
        transport = self.transport
        if self._deaf or transport is None or transport.is_closing():
            self._kept.clear()
            return False
        self._inner.data_received(step)
        # aiohttp may have stopped reading meanwhile, and then goes on by itself.
        if not self._kept and not getattr(self._inner, "_reading_paused", False):
            transport.resume_reading()
        return bool(self._kept)

    def eof_received(self) -> bool | None:
        return None if self._deaf else self._inner.eof_received()

    def pause_writing(self) -> None:
        if self.address and self._unread is None:
            loop = asyncio.get_running_loop()
            self._unread = loop.call_later(self._gate.unread_s, self._still_unread)
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._stop_watching_reader()
        self._inner.resume_writing()

    def _still_unread(self) -> None:
        self._unread = None
        if not (self._is_socket and self.known):
            self._gate.drop(self, "unread")

    def _stop_watching_reader(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def begin(self, *, is_socket: bool = False) -> None:
        self.busy = True
        self._is_socket = is_socket
        self._stop_waiting()

    def end(self) -> None:
        self.busy = False

    def close(self, farewell: bytes) -> None:
        """Not heard any more."""
        self._stop_waiting()
        self._deaf = True
        assert self.transport is not None
        if farewell:
            self.transport.write(farewell)
            self.transport.close()
        else:
            self.transport.abort()

    def _wait_for_head(self) -> None:
        self._late = asyncio.get_running_loop().call_later(self._gate.head_s, self._gate.drop, self, "head")

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def passing(gate: Gate) -> tuple[Middleware, Middleware]:
    """The outermost middleware, and the one behind the guard."""

    @web.middleware
    async def first(request: web.Request, handler: Handler) -> web.StreamResponse:
        gate.began(request)
        try:
            return await handler(request)
        finally:
            gate.ended(request)

    @web.middleware
    async def behind_guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        gate.passed(request)
        return await handler(request)

    return first, behind_guard


GATE = web.AppKey("gate", Gate)
