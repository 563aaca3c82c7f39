"""A link: a client's connection and ours to the server behind it, failing as the ways say.

What is lost in a black hole stays lost: a connection of which bytes vanished never passes anything again, as behind a router that
forgot it; new ones pass once the hole is gone.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import cast

from migctl.faults.lane import Lane
from migctl.faults.ways import Ways

HOST = "127.0.0.1"


class Traffic:
    """What has passed a proxy, and who is on it. cuts: connections that ended in the middle of an answer, or for want of one."""

    def __init__(self) -> None:
        self.links: set[Link] = set()
        self.connections = self.cuts = self.bytes_up = self.bytes_down = 0

    def reset_all(self) -> None:
        """Reset every connection that is open now."""
        for link in list(self.links):
            link.reset()


class Link:
    """upstream: the port that it is connected to."""

    def __init__(self, upstream: int, ways: Ways, traffic: Traffic) -> None:
        self._upstream = upstream
        self._ways = ways
        self._traffic = traffic
        self.up, self.down = Lane(self._one_way_ended), Lane(self._one_way_ended)
        self.vanished = False
        self.began = b""  # the first that the client said
        self._doomed = False
        self._connecting: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        return self in self._traffic.links

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
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: End(self, is_client=False), HOST, self._upstream
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
        self.vanished = self.vanished or self._ways.swallows(from_client=from_client)
        if self.vanished:
            return
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
        self.up.put(data, ways.delay_s)

    def _answer(self, data: bytes) -> None:
        ways, traffic = self._ways, self._traffic
        if self._doomed:
            self.reset()
            traffic.cuts += 1
            if ways.answer_lost():
                traffic.reset_all()
            return
        traffic.bytes_down += len(data)
        passes = ways.passes_of(data) if data else None
        if passes is None:
            self.down.put(data, ways.delay_s)
            return
        traffic.cuts += 1
        if self.down.target is not None:
            self.down.target.write(data[:passes])
        self.close()

    def _one_way_ended(self) -> None:
        if self.up.ended and self.down.ended:
            self.close()

    def lost(self, *, client: bool) -> None:
        """One side is gone. In a black hole the other is not told."""
        if not self.vanished:
            self.reset()
            return
        if client:
            self.up.source = self.down.target = None
        else:
            self.down.source = self.up.target = None
        if self.up.source is None and self.down.source is None:
            self._traffic.links.discard(self)

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
        return not self._link.vanished

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
