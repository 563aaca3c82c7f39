"""The hub: which channels listen to a topic, and how a broadcast reaches them.

A broadcast is encoded once for each protocol version, whoever many listen. Deliveries count against the plan's rate; over it,
every channel that receives is shut down, as on the real server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from migctl.stack.standin.limits import Limits
from migctl.stack.standin.realtime.frames import (
    BadFrame,
    UserBroadcast,
    Version,
    binary_frame,
    broadcast,
    message,
    respelled,
    text_frame,
    user_broadcast,
)
from migctl.stack.standin.realtime.rates import RateCounter

TOO_MANY = "Too many messages per second"


class Listener(Protocol):
    """What the hub needs of a channel."""

    @property
    def version(self) -> Version: ...

    @property
    def hears(self) -> bool:
        """May it receive broadcasts?"""
        ...

    @property
    def follows(self) -> bool:
        """May it receive presence?"""
        ...

    @property
    def replayed(self) -> Collection[str]:
        """The rows that it got when it joined: they are not sent again."""
        ...

    def push(self, frame: bytes) -> None:
        """Hand over a finished WebSocket frame. Never waits."""
        ...

    def shut_down(self, reason: str) -> None:
        """Tell the client why, and close the channel."""
        ...


class Hub:
    """A topic is its name and whether it is private. clock: monotonic seconds, for the rates."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        now = clock()
        self._clock = clock
        self._topics: dict[tuple[str, bool], dict[Listener, None]] = {}
        self.rate = RateCounter(limits.plan.messages_per_s, now=now)
        self.joins = RateCounter(limits.plan.joins_per_s, now=now, tick_s=1.0, buckets=60)
        self.sockets = 0

    def join(self, topic: str, private: bool, listener: Listener) -> None:
        self._topics.setdefault((topic, private), {})[listener] = None

    def leave(self, topic: str, private: bool, listener: Listener) -> None:
        listeners = self._topics.get((topic, private))
        if listeners is not None:
            listeners.pop(listener, None)
            if not listeners:
                del self._topics[topic, private]

    @property
    def is_empty(self) -> bool:
        """Whether nobody has joined anything."""
        return not self._topics

    def listeners(self, topic: str, private: bool) -> Iterable[Listener]:
        return list(self._topics.get((topic, private), ()))

    def send(
        self,
        topic: str,
        private: bool,
        payload: bytes,
        *,
        event: str = "broadcast",
        user: UserBroadcast | None = None,
        but: Listener | None = None,
        counted: bool = True,
    ) -> int:
        """Deliver to all listeners but one; returns to how many. payload: JSON text; user: the binary form instead of it."""
        frames: dict[Version, bytes] = {}
        receivers = [
            listener
            for listener in self._topics.get((topic, private), ())
            if listener is not but and (listener.follows if event == "presence_diff" else listener.hears)
        ]
        if user is not None and user.id is not None:
            receivers = [listener for listener in receivers if user.id not in listener.replayed]
        for listener in receivers:
            frame = frames.get(listener.version)
            if frame is None:
                frame = _frame(listener.version, "realtime:" + topic, event, payload, user)
                frames[listener.version] = frame
            if frame:
                listener.push(frame)
        if counted:
            now = self._clock()
            self.rate.add(len(receivers) + 1, now)
            if self.rate.triggered(now):
                for listener in receivers:
                    listener.shut_down(TOO_MANY)
        return len(receivers)


def _frame(version: Version, topic: str, event: str, payload: bytes, user: UserBroadcast | None) -> bytes:
    if user is None:
        return text_frame(message(version, topic, event, payload))
    if version == "2.0.0":
        return binary_frame(user_broadcast(topic, user))
    if not user.is_json:
        return b""  # protocol 1.0.0 has no way to say it
    if user.id is not None:  # PostgreSQL's own JSON: it is not read
        payload = broadcast(user.event, user.payload, meta={"id": user.id})
        return text_frame(message(version, topic, event, payload))
    try:
        return text_frame(message(version, topic, event, broadcast(user.event, respelled(user.payload))))
    except BadFrame:
        return b""
