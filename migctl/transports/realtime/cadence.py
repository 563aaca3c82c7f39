"""Cadence: when the next heartbeat is due, and how far apart messages must be. Pure: times are monotonic seconds, passed in."""

from __future__ import annotations

AFTER_BURST_S = 0.25
BEHIND_S = 0.5
IDLE_S = 5.0

# Below the plan's limit by this much: one message too many shuts every receiving channel.
_SHARE_OF_LIMIT = 0.8


def next_heartbeat(*, last_heartbeat: float, last_event: float | None, behind: bool) -> float:
    """When the next heartbeat is due.

    0.25 s after the last event of a burst, so that a lost last hint shows; every 0.5 s while the table is behind the journal; else
    every 5 s. last_event: when a hint was last due, sent or not; None before the first.
    """
    due = last_heartbeat + (BEHIND_S if behind else IDLE_S)
    if last_event is not None and last_event > last_heartbeat:
        due = min(due, last_event + AFTER_BURST_S)
    return due


def pace_s(*, messages_per_second: float, subscribers: int) -> float:
    """Seconds from one broadcast to the next: the plan counts the send and each delivery."""
    return (1 + subscribers) / (_SHARE_OF_LIMIT * messages_per_second)
