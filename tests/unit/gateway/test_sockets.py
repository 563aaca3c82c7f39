"""Who counts as what among open sockets."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

from migctl.transports.websocket import frames
from migctl.transports.websocket.session import Session
from migctl.transports.websocket.sockets import Sockets, counted

Open = Callable[..., Awaitable[tuple[Session, socket.socket]]]


async def test_each_is_counted_once_by_its_form_as_a_standby_or_by_its_code(open_session: Open) -> None:
    sessions = {}
    for name, options in {
        "v2": {}, "old": {"form": "legacy"}, "piped": {"form": "piped"}, "standby": {"standby": True},
        "slow": {}, "old that drains": {"form": "legacy"}, "standby that drains": {"standby": True},
    }.items():  # fmt: skip
        sessions[name], _ = await open_session(**options)
    sessions["slow"].close(frames.SLOW, "slow", grace_s=1.0)
    for name in ("old that drains", "standby that drains"):
        sessions[name].close(frames.DRAINING, "draining", grace_s=1.0)
    found = counted(sessions.values())
    assert dict(found.forms) == {"v2": 1, "legacy": 1, "piped": 1}
    assert found.standby == 1
    assert found.attached == [sessions[name] for name in ("v2", "old", "piped", "standby")]
    assert dict(found.closing) == {frames.SLOW: 1, frames.DRAINING: 2}


def test_nobody_is_counted_where_nobody_is() -> None:
    found = counted([])
    assert (found.forms.total(), found.standby, found.max_queued_bytes, found.attached) == (0, 0, 0, [])


async def test_another_bound_of_the_queue_holds_for_the_sockets_that_are_open(open_session: Open) -> None:
    session, _ = await open_session(max_queue_bytes=1 << 26)
    sockets = Sockets(max_queue_bytes=1 << 26, grace_s=1.0)
    sockets._open.add(session)
    chunk = frames.framed(b"x" * (1 << 16))
    while session.queued_bytes < 1 << 20:
        assert session.write(chunk)
    sockets.follow(max_queue_bytes=1 << 18, grace_s=1.0)
    assert not session.write(chunk)
    assert session.close_code == frames.SLOW
