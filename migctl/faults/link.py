"""A link: a client's connection and ours to the server behind it, failing as the ways and the toxics say.

What is lost in a black hole stays lost: a stream of which bytes vanished never passes anything again, as behind a router that
forgot it; new connections pass once the hole is gone.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import cast

from migctl.faults.lane import Lane
from migctl.faults.pipeline import Pipeline
from migctl.faults.requests import Requests
from migctl.faults.stages import Draw, Mark, SlowClose
from migctl.faults.toxics import Toxic, Toxics
from migctl.faults.upstream import Upstream
from migctl.faults.ways import Ways


class Traffic:
    """What has passed a proxy, and who is on it. cuts: connections that ended in the middle of an answer, or for want of one."""

    def __init__(self) -> None:
        self.links: set[Link] = set()
        self.connections = self.cuts = self.bytes_up = self.bytes_down = 0

    def reset_all(self) -> None:
        """Reset every connection that is open now."""
        for link in list(self.links):
            link.reset()

    def passed_down(self, count: int) -> None:
        self.bytes_down += count


class Link:
    """upstream: what it is connected to. toxics: those of its proxy; which of them it has is drawn once for each."""

    def __init__(self, upstream: Upstream, ways: Ways, toxics: Toxics, traffic: Traffic, draw: Draw) -> None:
        self._upstream = upstream
        self._ways = ways
        self._toxics = toxics
        self._traffic = traffic
        self._draw = draw
        self.up = self._lane(passed=lambda _: None)
        self.down = self._lane(passed=traffic.passed_down)
        self.began = b""  # the first that the client said
        self._requests = Requests(upstream.host) if upstream.host is not None else None
        self._server_ended = False  # in order
        self._doomed = False
        self._connecting: asyncio.Task[None] | None = None

    def _lane(self, passed: Callable[[int], None]) -> Lane:
        return Lane(Pipeline(self._ways.delay_s, self._draw), ended=self._ended, passed=passed)

    @property
    def is_open(self) -> bool:
        return self in self._traffic.links

    @property
    def is_tls(self) -> bool:
        """Between us and the server, who can't end one direction alone."""
        return self._upstream.tls is not None

    @property
    def vanished(self) -> bool:
        """Bytes of it vanished."""
        return self.up.vanished or self.down.vanished

    @property
    def is_lost(self) -> bool:
        """Bytes of it vanished in a toxic that is gone."""
        return self.up.pipeline.is_lost or self.down.pipeline.is_lost

    def opened(self, client: asyncio.Transport) -> None:
        if self._ways.refusing:
            _linger_not(client)
            client.abort()
            return
        self._traffic.connections += 1
        self._traffic.links.add(self)
        self.up.source = self.down.target = client
        # The kernel has taken the connection already; over a line of this length that would have taken a round trip.
        self.up.hold(2 * self._ways.delay_s)
        for place, toxic in self._toxics:
            self.arm(place, toxic, is_open=False)
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    # Toxics

    def arm(self, place: int, toxic: Toxic, *, is_open: bool = True) -> None:
        """Draw whether this connection has it. is_open: it was there before the toxic."""
        if self._is_drawn(toxic):
            self._lane_of(toxic).install(place, toxic, is_open=is_open)

    def change(self, place: int, toxic: Toxic, *, draw_again: bool) -> None:
        """Other attributes. draw_again: its toxicity is another."""
        lane = self._lane_of(toxic)
        has = lane.pipeline.has_toxic(toxic.name)
        lane.update(place, toxic, wanted=self._is_drawn(toxic) if draw_again else has)

    def lift(self, toxic: Toxic) -> None:
        self._lane_of(toxic).lift(toxic.name)

    def set_delay(self, seconds: float) -> None:
        """Of the line, each way. What is under way keeps its order."""
        self.up.pipeline.line.delay_s = self.down.pipeline.line.delay_s = seconds

    def _lane_of(self, toxic: Toxic) -> Lane:
        return self.up if toxic.stream == "upstream" else self.down

    def _is_drawn(self, toxic: Toxic) -> bool:
        return self._draw() < toxic.toxicity  # from 0 up to 1: with 1 always, with 0 never

    # What comes

    async def _connect(self) -> None:
        (host, port), of = self._upstream.address, self._upstream
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: End(self, is_client=False), host, port, ssl=of.tls, server_hostname=of.server_name
            )
        except OSError:
            self.reset()

    def connected(self, server: asyncio.Transport) -> None:
        if not self.is_open:
            server.abort()
            return
        self.up.target = self.down.source = server
        self.up.flush()

    def take(self, data: bytes, *, from_client: bool) -> None:
        """Empty data is the end of the stream."""
        if from_client:
            self._request(data)
        else:
            self._answer(data)

    def _request(self, data: bytes) -> None:
        ways = self._ways
        self._traffic.bytes_up += len(data)
        self.began = self.began or data
        if ways.refuses(self.began):
            self.reset()
            return
        self._doomed = self._doomed or ways.loses_answer_to(data)
        if self._requests is None:
            self._put(self.up, data)
            return
        ended, data = not data, self._requests.feed(data) if data else self._requests.end()
        if data:
            self._put(self.up, data)
        if ended:
            self._put(self.up, b"")

    def _answer(self, data: bytes) -> None:
        ways, traffic = self._ways, self._traffic
        self._server_ended = self._server_ended or not data
        if self._doomed:
            self.reset()
            traffic.cuts += 1
            if ways.answer_lost():
                traffic.reset_all()
            return
        passes = ways.passes_of(data) if data else None
        if passes is None:
            self._put(self.down, data)
            return
        traffic.cuts += 1
        self._put(self.down, data[:passes])
        self.down.put(b"", Mark.CLOSE)

    def _put(self, lane: Lane, data: bytes) -> None:
        lane.put(data, None if data else Mark.END)

    # The end

    def _ended(self, mark: Mark) -> None:
        """Of one direction."""
        if mark is Mark.RESET:
            self.reset()
        elif mark is Mark.CLOSE or (self.up.ended and self.down.ended) or self.is_tls:
            self.close()

    def lost(self, *, client: bool) -> None:
        """One side is gone. In a black hole the other is not told, and of a slow close it learns late."""
        away = self.up if client else self.down
        slow = away.pipeline.has(SlowClose)
        # The end of one direction is that of both with TLS: what came before it is still on its way to the client.
        awaits_end = self.is_tls and not client and self._server_ended
        if not self.vanished and not slow and not awaits_end:
            self.reset()
            return
        if client:
            self.up.source = None
            self.down.lose_target()
        else:
            self.down.source = None
            self.up.lose_target()
        if self.up.source is None and self.down.source is None:
            self._leave()
        elif slow:
            away.put(b"", Mark.CLOSE)

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
        self._traffic.links.discard(self)
        self.up.stop()
        self.down.stop()
        if self._connecting is not None and self.down.source is None:
            self._connecting.cancel()


class End(asyncio.Protocol):
    """One socket of a link."""

    def __init__(self, link: Link, *, is_client: bool) -> None:
        self._link = link
        self._is_client = is_client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        made = cast(asyncio.Transport, transport)
        made.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._is_client:
            self._link.opened(made)
        else:
            self._link.connected(made)

    def data_received(self, data: bytes) -> None:
        self._link.take(data, from_client=self._is_client)

    def eof_received(self) -> bool:
        self._link.take(b"", from_client=self._is_client)
        return not self._link.vanished and (self._is_client or not self._link.is_tls)

    def connection_lost(self, error: Exception | None) -> None:
        if self._link.is_open:
            self._link.lost(client=self._is_client)

    def pause_writing(self) -> None:
        (self._link.down if self._is_client else self._link.up).block(True)

    def resume_writing(self) -> None:
        (self._link.down if self._is_client else self._link.up).block(False)


def _linger_not(transport: asyncio.Transport) -> None:
    """Closing it sends a reset then, and not an orderly end."""
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
