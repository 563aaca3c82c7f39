"""A TCP proxy in front of one port of this machine: it delays, refuses, resets, swallows, cuts and loses answers, as it is told.

Delay: each chunk has a time at which it is due, so a round trip costs time and never bandwidth, and order is kept when the delay
changes. What is lost in a black hole stays lost: a connection of which bytes vanished never passes anything again, as behind a
router that forgot it; new ones pass once the hole is gone.

`python -m tests.kit.tcp_proxy UPSTREAM_PORT` is the same as a process of its own, told by lines of JSON (see `proxy_process`).
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

# Of one direction of one connection: above a fast line's bandwidth times half a second.
_MOST_BYTES = 32 << 20
_HOST = "127.0.0.1"


class TcpProxy:
    """Made by `tcp_proxy`. Passes everything on, until told otherwise."""

    def __init__(self, upstream: int, *, delay_s: float = 0.0) -> None:
        """upstream: the port that is passed to. delay_s: each way."""
        self.upstream = upstream
        self.delay_s = delay_s
        self.refusing = False
        self.black_hole = False
        self.swallowing_answers = False
        self.port = 0
        self.cuts = self.connections = self.bytes_up = self.bytes_down = 0
        self._lose_once: bytes | None = None
        self._lose_always: bytes | None = None
        self._refused_start: bytes | None = None
        self._then_refuse = False
        self._cut_after: int | None = None
        self.pairs: set[_Pair] = set()

    @property
    def url(self) -> str:
        return f"http://{_HOST}:{self.port}"

    def refuse(self) -> None:
        """Let nobody in, until `let_in`."""
        self.refusing = True

    def let_in(self) -> None:
        self.refusing = False

    def cut_all(self) -> None:
        """Reset every connection that is open now."""
        for pair in list(self.pairs):
            pair.reset()

    def swallow(self, wanted: bool = True) -> None:
        """A black hole: sockets stay and are accepted, and no byte comes through either way."""
        self.black_hole = wanted

    def swallow_answers(self, wanted: bool = True) -> None:
        """Keep connections open, and pass on nothing of what the server says."""
        self.swallowing_answers = wanted

    def lose_next_answer_to(self, request: bytes, *, then_refuse: bool = False) -> None:
        """Cut the connection once, when the server begins to answer a request that holds these bytes.

        then_refuse: from then on nobody is let in, until `let_in`.
        """
        self._lose_once, self._then_refuse = request, then_refuse

    def lose_answers_to(self, request: bytes | None) -> None:
        """The same for each such request, until told None."""
        self._lose_always = request

    def refuse_requests(self, start: bytes | None) -> None:
        """Reset connections whose first bytes hold these, those that are open too; until told None.

        So sockets alone can be taken away (b"GET /realtime/v1/websocket"), while other requests pass.
        """
        self._refused_start = start
        for pair in list(self.pairs):
            if self.refuses(pair.began):
                pair.reset()

    def cut_after(self, count: int) -> None:
        """Reset a connection once, in the middle of what the server says: after this many more bytes of answers."""
        self._cut_after = count

    def heal(self) -> None:
        """Pass everything on again; the delay stays."""
        self.refusing = self.black_hole = self.swallowing_answers = self._then_refuse = False
        self._lose_once = self._lose_always = self._refused_start = self._cut_after = None

    # What connections ask

    def loses_answer_to(self, data: bytes) -> bool:
        if self._lose_once is not None and self._lose_once in data:
            self._lose_once = None
            return True
        return self._lose_always is not None and self._lose_always in data

    def refuses(self, began: bytes) -> bool:
        return self._refused_start is not None and self._refused_start in began

    def lost_answer(self) -> None:
        self.cuts += 1
        if self._then_refuse:
            self._then_refuse, self.refusing = False, True
            self.cut_all()

    def cuts_here(self, data: bytes) -> int | None:
        """How much of this answer still passes before its connection is reset; None: all of it, and it is not."""
        if self._cut_after is None:
            return None
        if len(data) < self._cut_after:
            self._cut_after -= len(data)
            return None
        passes, self._cut_after = self._cut_after, None
        self.cuts += 1
        return passes


class _Lane:
    """One direction of a connection: what was read on one side, and when each chunk of it is due on the other."""

    def __init__(self, pair: _Pair) -> None:
        self._pair = pair
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self._last_due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._blocked = False
        self.source: asyncio.Transport | None = None
        self.target: asyncio.Transport | None = None
        self.ended = False

    def hold(self, seconds: float) -> None:
        """Let nothing through before this time has passed."""
        self._last_due = self._loop.time() + seconds

    def put(self, data: bytes, delay_s: float) -> None:
        """data: empty for the end of the stream."""
        self._last_due = max(self._loop.time() + delay_s, self._last_due)
        self._queue.append((self._last_due, data))
        self._bytes += len(data)
        self.flush()

    def flush(self) -> None:
        """Write what is due, and come back for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._loop.time()
        if self.target is not None and not self.target.is_closing():
            # A timer may be early by its own resolution.
            while self._queue and self._queue[0][0] <= now + 0.0005:
                data = self._queue.popleft()[1]
                self._bytes -= len(data)
                if data:
                    self.target.write(data)
                else:
                    self._end()
                    break
            if self._queue:
                self._timer = self._loop.call_at(self._queue[0][0], self.flush)
        self._throttle()

    def block(self, blocked: bool) -> None:
        """The other side reads more slowly than this one sends."""
        self._blocked = blocked
        self._throttle()

    def _throttle(self) -> None:
        if self.source is None or self.source.is_closing():
            return
        full = self._blocked or self._bytes > _MOST_BYTES
        if full and self.source.is_reading():
            self.source.pause_reading()
        elif not full and not self.source.is_reading():
            self.source.resume_reading()

    def _end(self) -> None:
        self.ended = True
        assert self.target is not None
        if self.target.can_write_eof():
            self.target.write_eof()
        if self._pair.up.ended and self._pair.down.ended:
            self._pair.close()


class _Pair:
    """A client's connection and ours to the server."""

    def __init__(self, proxy: TcpProxy) -> None:
        self.proxy = proxy
        self.up, self.down = _Lane(self), _Lane(self)
        self.vanished = self.doomed = False
        self.began = b""  # the first that the client said
        self._connecting: asyncio.Task[None] | None = None

    def opened(self, client: asyncio.Transport) -> None:
        self.proxy.connections += 1
        self.proxy.pairs.add(self)
        self.up.source = self.down.target = client
        # The kernel has taken the connection already; over a line of this length that would have taken a round trip.
        self.up.hold(2 * self.proxy.delay_s)
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: _End(self, is_client=False), _HOST, self.proxy.upstream
            )
        except OSError:
            self.reset()

    def connected(self, server: asyncio.Transport) -> None:
        if self not in self.proxy.pairs:
            server.abort()
            return
        self.up.target = self.down.source = server
        self.up.flush()

    def take(self, data: bytes, *, from_client: bool) -> None:
        """Empty data is the end of the stream."""
        proxy = self.proxy
        if proxy.black_hole or (proxy.swallowing_answers and not from_client):
            self.vanished = True
        if self.vanished:
            return
        if from_client:
            proxy.bytes_up += len(data)
            self.began = self.began or data
            if proxy.refuses(self.began):
                self.reset()
                return
            self.doomed = self.doomed or proxy.loses_answer_to(data)
            self.up.put(data, proxy.delay_s)
            return
        if self.doomed:
            self.reset()
            proxy.lost_answer()
            return
        proxy.bytes_down += len(data)
        passes = proxy.cuts_here(data) if data else None
        if passes is not None:
            if self.down.target is not None:
                self.down.target.write(data[:passes])
            self.close()
            return
        self.down.put(data, proxy.delay_s)

    def lost(self, *, client: bool) -> None:
        """One side is gone. In a black hole the other is not told."""
        if self.vanished:
            if client:
                self.up.source = self.down.target = None
            else:
                self.down.source = self.up.target = None
            if self.up.source is None and self.down.source is None:
                self.proxy.pairs.discard(self)
            return
        self.reset()

    def reset(self) -> None:
        """Both sides get a reset, now."""
        self._leave()
        for transport in (self.up.source, self.down.source):
            if transport is not None and not transport.is_closing():
                _linger_not(transport)
                transport.abort()

    def close(self) -> None:
        """Both sides are closed once what was written to them is out."""
        self._leave()
        for transport in (self.up.source, self.down.source):
            if transport is not None:
                transport.close()

    def _leave(self) -> None:
        self.proxy.pairs.discard(self)
        if self._connecting is not None and self.down.source is None:
            self._connecting.cancel()


class _End(asyncio.Protocol):
    """One socket of a pair."""

    def __init__(self, pair: _Pair, *, is_client: bool) -> None:
        self._pair = pair
        self._is_client = is_client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        made = cast(asyncio.Transport, transport)
        made.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._is_client:
            self._pair.connected(made)
        elif self._pair.proxy.refusing:
            _linger_not(made)
            made.abort()
        else:
            self._pair.opened(made)

    def data_received(self, data: bytes) -> None:
        self._pair.take(data, from_client=self._is_client)

    def eof_received(self) -> bool:
        self._pair.take(b"", from_client=self._is_client)
        return not self._pair.vanished

    def connection_lost(self, error: Exception | None) -> None:
        if self._pair in self._pair.proxy.pairs:
            self._pair.lost(client=self._is_client)

    def pause_writing(self) -> None:
        (self._pair.down if self._is_client else self._pair.up).block(True)

    def resume_writing(self) -> None:
        (self._pair.down if self._is_client else self._pair.up).block(False)


def _linger_not(transport: asyncio.Transport) -> None:
    """Closing it sends a reset then, and not an orderly end."""
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )


@asynccontextmanager
async def tcp_proxy(upstream: int, *, delay_s: float = 0.0) -> AsyncIterator[TcpProxy]:
    """A proxy in front of 127.0.0.1:upstream, on a free port of its own."""
    proxy = TcpProxy(upstream, delay_s=delay_s)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _End(_Pair(proxy), is_client=True), _HOST, 0, backlog=512)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut_all()


# As a process


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


def _obey(proxy: TcpProxy, word: str, value: Any) -> None:
    match word:
        case "delay":
            proxy.delay_s = float(value)
        case "refuse":
            proxy.refuse()
            proxy.cut_all()
        case "reset":
            proxy.cut_all()
        case "black_hole":
            proxy.swallow()
        case "lose_answers":
            proxy.lose_answers_to(str(value).encode())
        case "cut_after":
            proxy.cut_after(int(value))
        case "heal":
            proxy.heal()
        case "look":
            pass
        case _:
            raise ValueError(f"no such word: {word}")


async def _main(upstream: int) -> None:
    """Obey lines `{"do": WORD, "value": ...}` on stdin until it ends; each is answered by one line with the counts.

    The echo is reached through a proxy of its own in the same loop with the same delay: what a bare round trip costs here.
    """
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    echo = await loop.create_server(_Echo, _HOST, 0)
    async with tcp_proxy(upstream) as proxy, tcp_proxy(echo.sockets[0].getsockname()[1]) as pinged:
        _say({"port": proxy.port, "echo_port": pinged.port})
        while line := await lines.readline():
            told = json.loads(line)
            _obey(proxy, told["do"], told.get("value"))
            pinged.delay_s = proxy.delay_s
            _say(
                {
                    "connections": proxy.connections,
                    "open": len(proxy.pairs),
                    "cuts": proxy.cuts,
                    "bytes_up": proxy.bytes_up,
                    "bytes_down": proxy.bytes_down,
                }
            )


def _say(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main(int(sys.argv[1])))
