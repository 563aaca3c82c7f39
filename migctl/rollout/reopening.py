"""Reopening: what a person may take back of a completion. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

from migctl.rollout.walk import State


def reopened(state: State, reason: str, now: datetime) -> State:
    """The WebSocket is fed again, or goes on being fed: shares stay as they are, and a person has to say what is next."""
    return msgspec.structs.replace(
        state,
        version=state.version + 1,
        phase="paused",
        paused="person",
        since=now,
        reason=reason,
        completing=None,
    )
