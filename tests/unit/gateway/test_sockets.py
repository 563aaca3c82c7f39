"""Who counts as what among open sockets."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

from migctl.transports.websocket import frames
from migctl.transports.websocket.session import Session
from migctl.transports.websocket.sockets import counted

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
    seen = counted(sessions.values())
    assert dict(seen.forms) == {"v2": 1, "legacy": 1, "piped": 1}
    assert seen.standby == 1
    assert seen.attached == [sessions[name] for name in ("v2", "old", "piped", "standby")]
    assert dict(seen.closing) == {frames.SLOW: 1, frames.DRAINING: 2}


def test_nobody_is_counted_where_nobody_is() -> None:
    seen = counted([])
    assert (seen.forms.total(), seen.standby, seen.max_queued_bytes, seen.attached) == (0, 0, 0, [])
