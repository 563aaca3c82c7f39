"""The live edge: who gets which frames of a run, and who leaves."""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable

from migctl.transports.websocket import frames
from migctl.transports.websocket.live import Live
from migctl.transports.websocket.session import Session
from tests.kit.entries import EPOCH, entry
from tests.unit.gateway.test_frames import parse

Open = Callable[..., Awaitable[tuple[Session, socket.socket]]]


def run_of(first: int, last: int) -> frames.Run:
    return frames.Run([entry(seq) for seq in range(first, last + 1)], "envelope")


def texts(far: socket.socket) -> list[dict[str, object]]:
    """What has arrived by now: a socket pair has no way to be slow."""
    far.setblocking(False)
    try:
        got = far.recv(1 << 20)
    except BlockingIOError:
        return []
    return [json.loads(text) for opcode, text in parse(got) if opcode == 1]


def seqs(far: socket.socket) -> list[object]:
    return [text["seq"] for text in texts(far)]


async def test_session_gets_what_is_above_its_own_position_and_no_seq_twice(open_session: Open) -> None:
    live = Live(EPOCH, 0, grace_s=1.0)
    ends = {}
    for after in (0, 4, 6, 9):
        session, far = await open_session()
        session.after = after
        live.join(session)
        ends[after] = far
    live.fan_out(run_of(1, 6))
    live.fan_out(run_of(7, 9))
    assert {after: seqs(far) for after, far in ends.items()} == {
        0: [1, 2, 3, 4, 5, 6, 7, 8, 9],
        4: [5, 6, 7, 8, 9],
        6: [7, 8, 9],
        9: [],
    }
    assert live.delivered == 9


async def test_legacy_session_gets_the_old_form(open_session: Open) -> None:
    live = Live(EPOCH, 0, grace_s=1.0)
    session, far = await open_session(form="legacy")
    live.join(session)
    live.fan_out(run_of(1, 1))
    [text] = texts(far)
    assert set(text) == {"type", "data", "timestamp"}


async def test_session_that_does_not_keep_up_leaves_and_the_others_stay(open_session: Open) -> None:
    live = Live(EPOCH, 0, grace_s=1.0)
    quick, far = await open_session()
    stuck, _ = await open_session(max_queue_bytes=0)
    live.join(quick)
    live.join(stuck)
    while stuck.write(frames.framed(b"x" * (1 << 16))):
        pass
    live.fan_out(run_of(1, 2))
    assert stuck.close_code == frames.SLOW
    assert len(live) == 1
    assert seqs(far) == [1, 2]


async def test_new_epoch_begins_at_nothing_and_legacy_sessions_just_go_on(open_session: Open) -> None:
    live = Live(EPOCH, 40, grace_s=1.0)
    legacy, far = await open_session(form="legacy")
    legacy.after = 40
    live.join(legacy)
    assert not live.enter(EPOCH)
    assert live.enter("another")
    assert (live.epoch, live.delivered) == ("another", 0)
    assert live.has_left(EPOCH)
    assert not live.has_left("another")
    live.fan_out(run_of(1, 2))
    assert len(texts(far)) == 2


async def test_link_that_answers_no_ping_is_closed_and_the_others_are_asked(open_session: Open) -> None:
    live = Live(EPOCH, 0, grace_s=1.0)
    (silent, _), (alive, far) = await open_session(heard_at=0.0), await open_session(heard_at=90.0)
    for session in (silent, alive):
        live.join(session)
    live.ping((silent, alive), 100.0, ping_every_s=20.0)
    assert (silent.close_code, alive.close_code, len(live)) == (frames.SILENT, None, 1)
    far.setblocking(False)
    assert [opcode for opcode, _ in parse(far.recv(1 << 16))] == [9]
