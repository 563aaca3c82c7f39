"""One subscriber's socket: when it counts as slow, and when as silent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from migctl.transports import wire
from migctl.transports.websocket import frames
from migctl.transports.websocket.session import Session
from tests.unit.gateway.test_frames import parse

Open = Callable[..., Awaitable[tuple[Session, socket.socket]]]
CHUNK = frames.framed(b"x" * (1 << 16))
MOST = 1000  # chunks; no socket's kernel takes so much


async def test_subscriber_that_reads_nothing_is_closed_as_slow_once_its_queue_is_full(
    open_session: Open,
) -> None:
    session, _ = await open_session(max_queue_bytes=1 << 20)
    written = 0
    while session.write(CHUNK):
        written += 1
        assert written < MOST, "never called slow"
    assert session.close_code == frames.SLOW
    assert session.closed
    assert 1 << 20 < session.queued_bytes <= (1 << 20) + 2 * len(CHUNK)
    assert not session.write(CHUNK), "nothing follows the goodbye"


async def test_what_was_queued_comes_before_the_goodbye_and_nothing_is_left_out(open_session: Open) -> None:
    session, far = await open_session(max_queue_bytes=1 << 18)
    count = 0
    while session.write(frames.framed(b"%d" % count + b"y" * 5000)):
        count += 1
        assert count < 1 << 16, "never called slow"
    session.finish()
    got = await read_to_the_end(far)
    *texts, last = parse(got)
    assert [int(text.rstrip(b"y")) for _, text in texts] == list(range(count))
    assert (last[0], int.from_bytes(last[1][:2], "big")) == (8, frames.SLOW)


async def test_frame_larger_than_the_queue_goes_to_a_subscriber_that_keeps_up(open_session: Open) -> None:
    session, _ = await open_session(max_queue_bytes=1 << 10)
    assert session.write(frames.framed(b"z" * (1 << 22)))
    assert session.close_code is None
    assert not session.write(frames.PING), "but what follows it waits too long"
    assert session.close_code == frames.SLOW


async def read_to_the_end(far: socket.socket) -> bytes:
    far.setblocking(False)
    loop = asyncio.get_running_loop()
    got = b""
    async with asyncio.timeout(20):
        while chunk := await loop.sock_recv(far, 1 << 20):
            got += chunk
    return got


@pytest.mark.parametrize(
    ("quiet_s", "silent"), [(0.0, False), (2 * 20.0, False), (2.5 * 20.0, False), (2.5 * 20.0 + 0.1, True)]
)
async def test_link_is_silent_after_two_and_a_half_pings_without_a_word(
    open_session: Open, quiet_s: float, silent: bool
) -> None:
    session, _ = await open_session(heard_at=1000.0)
    assert wire.silence_s(20.0) == 50.0
    assert session.is_silent(1000.0 + quiet_s, ping_every_s=20.0) is silent


@pytest.mark.parametrize(
    ("standby", "notified", "fallback", "receives"),
    [
        (True, None, False, True),
        (False, None, False, False),
        (False, "realtime", False, True),  # it moves, and is on both
        (False, "realtime", True, False),  # it was sent there, and Realtime has failed
        (True, "websocket", False, True),  # it comes back, and is still there
    ],
)
async def test_who_moves_counts_as_a_receiver_of_what_is_broadcast(
    open_session: Open, standby: bool, notified: str | None, fallback: bool, receives: bool
) -> None:
    session, _ = await open_session(standby=standby)
    session.notified, session.fallback = notified or session.transport, fallback
    assert session.is_on_realtime is receives
