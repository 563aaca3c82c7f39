"""Cadence: when the next heartbeat is due, and how far apart messages must be. Pure: times are monotonic seconds, passed in."""

from __future__ import annotations

from migctl.transports.wire import REALTIME_HEARTBEAT_S

AFTER_BURST_S = 0.25
BEHIND_S = 0.5

# Below the plan's limit by this much: one message too many shuts every receiving channel.
_SHARE_OF_LIMIT = 0.8
# The server counts over a minute, in ticks of five seconds: after a pause of a second it shows whether it was a peak, one of eight
# lets a tick pass, and after a minute nothing of it is counted any more.
_FIRST_PAUSE_S = 1.0
_MOST_HALVINGS = 4
_TAKE_BACK_S = 60.0


def next_heartbeat(*, last_heartbeat: float, last_event: float | None, behind: bool) -> float:
    """When the next heartbeat is due.

    0.25 s after the last event of a burst, so that a lost last hint shows; every 0.5 s while the table is behind the journal; else
    every 5 s. last_event: when a hint was last due, sent or not; None before the first.
    """
    due = last_heartbeat + (BEHIND_S if behind else REALTIME_HEARTBEAT_S)
    if last_event is not None and last_event > last_heartbeat:
        due = min(due, last_event + AFTER_BURST_S)
    return due


def pace_s(*, messages_per_second: float, subscribers: int) -> float:
    """Seconds from one broadcast to the next: the plan counts the send and each delivery."""
    return (1 + subscribers) / (_SHARE_OF_LIMIT * messages_per_second)


class Pace:
    """When the next message may go, so that all of them together stay below the plan's limit.

    messages_per_second: the limit. subscribers: how many receive each hint; may be set anew at any time.
    A server that refuses for the rate knows better: each such answer makes a pause, twice as long as the one before, and halves the
    rate; a minute without one takes back one halving.
    """

    def __init__(self, messages_per_second: float, subscribers: int) -> None:
        self.subscribers = subscribers
        self.limited = 0
        self._limit = messages_per_second
        self._not_before = 0.0
        self._pause_until = 0.0
        self._halvings = 0
        self._limited_at = 0.0

    def follow(self, messages_per_second: float) -> None:
        """Another limit from the next message on."""
        self._limit = messages_per_second

    def wait_s(self, now: float) -> float:
        """Seconds until the next hint may go; 0 is now."""
        return max(0.0, max(self._not_before, self._pause_until) - now)

    def pause_s(self, now: float) -> float:
        """Seconds in which nothing may go at all, canaries neither."""
        return max(0.0, self._pause_until - now)

    def book(self, now: float, *, receivers: int | None = None) -> None:
        """A message goes now. receivers: default all subscribers.

        One that could not wait, such as a canary, puts off those that can.
        """
        cost = pace_s(
            messages_per_second=self._limit,
            subscribers=self.subscribers if receivers is None else receivers,
        )
        self._not_before = max(now, self._not_before) + cost * 2.0 ** self.halvings(now)

    def halvings(self, now: float) -> int:
        """How often the rate is halved now."""
        return max(0, self._halvings - int((now - self._limited_at) / _TAKE_BACK_S))

    def refused(self, now: float) -> None:
        """The server said that there were too many messages. What is said of the same moment twice counts once."""
        if self.pause_s(now) > 0:
            return
        self.limited += 1
        self._halvings = min(_MOST_HALVINGS, self.halvings(now) + 1)
        self._limited_at = now
        self._pause_until = now + _FIRST_PAUSE_S * 2.0 ** (self._halvings - 1)

    def spend(self, now: float) -> None:
        """The server said that nothing is left of the rate, and refused nothing yet."""
        self._pause_until = max(self._pause_until, now + _FIRST_PAUSE_S)
