"""What is said of each open socket: phase, position, and how far behind it is."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from migctl.transports.websocket import frames
from migctl.transports.websocket.attached import attached
from migctl.transports.websocket.live import Live
from migctl.transports.websocket.session import Session
from tests.kit.entries import EPOCH
from tests.unit.gateway.test_live import run_of

Open = Callable[..., Awaitable[tuple[Session, socket.socket]]]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Journal(NamedTuple):
    epoch: str
    head: int


async def test_each_is_behind_by_what_it_was_not_written_and_the_last_counts_for_all(
    open_session: Open,
) -> None:
    live = Live(EPOCH, 0, grace_s=1.0)
    names = {
        "live": {"user": "l", "token": "t"}, "legacy": {"form": "legacy"}, "late": {}, "new": {}, "piped": {"form": "piped"},
        "standby": {"standby": True, "user": "s"}, "closing": {}, "witness": {"witness": True},
    }  # fmt: skip
    sessions: dict[str, Session] = {}
    for number, (name, options) in enumerate(names.items()):
        sessions[name], _ = await open_session(heard_at=100.0 + number, **options)
    for name in ("live", "legacy", "closing", "witness"):
        live.join(sessions[name])
    live.fan_out(run_of(1, 6))
    live.close(sessions["closing"], frames.SLOW, "slow")
    sessions["late"].position, sessions["late"].caught_up_to = f"{EPOCH}/2", NOW - timedelta(seconds=9)
    sessions["standby"].assigned = "websocket"

    found = attached(reversed(sessions.values()), live, Journal(EPOCH, 7), at=110.0, moment=NOW)
    of = dict(zip(names, found.subscribers, strict=True))
    assert {name: (one.phase, one.reads, one.behind_events, one.behind_s) for name, one in of.items()} == {
        "live": ("live", "websocket", 1, 0.0),
        "legacy": ("live", "websocket", 1, 0.0),
        "late": ("catching up", "websocket", 5, 9.0),
        "new": ("catching up", "websocket", None, None),
        "piped": ("piped", "websocket", None, None),
        "standby": ("standby", "realtime", None, None),
        "closing": ("closing", "websocket", 1, 0.0),
        "witness": ("live", "websocket", 1, 0.0),
    }
    assert (of["live"].user, of["live"].token, of["live"].position) == ("l", "t", f"{EPOCH}/6")
    assert of["live"].since == NOW - timedelta(seconds=10)
    assert of["closing"].closing == frames.SLOW
    total = found.total
    assert (total.websocket, total.realtime, total.misplaced) == (5, 1, 1), (
        "the witness and who leaves are none"
    )
    assert (total.behind, total.most_behind_events, total.most_behind_s) == (3, 5, 9.0)
    assert attached([], live, Journal(EPOCH, 7), at=110.0, moment=NOW).total.behind == 0
    elsewhere = attached([sessions["live"]], live, Journal("another", 1), at=110.0, moment=NOW)
    assert elsewhere.subscribers[0].behind_events is None


async def test_a_queue_that_is_not_sent_is_behind_since_it_first_was_not_empty(open_session: Open) -> None:
    live = Live(EPOCH, 0, grace_s=1.0)
    session, _ = await open_session(max_queue_bytes=1 << 26)
    live.join(session)
    while not session.queued_bytes:
        assert session.write(frames.framed(b"x" * (1 << 16)))
    assert session.waits_since is None, "the first that waits was no sign"
    session.write(frames.framed(b"x"))
    assert session.waits_since is not None
    of = attached([session], live, Journal(EPOCH, 0), at=session.waits_since + 2.5, moment=NOW)
    assert of.subscribers[0].behind_s == 2.5
    assert of.total.queued_bytes == session.queued_bytes > 0
