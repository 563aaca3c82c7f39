"""What a channel asked of the database's changes, while it holds: one feed a channel, a subscription for each of its bindings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from migctl.stack.standin.auth import Identity
from migctl.stack.standin.realtime.bindings import Wanted
from migctl.stack.standin.realtime.frames import Version
from migctl.stack.standin.realtime.hub import Listener


@dataclass(frozen=True, eq=False, slots=True)
class Subscription:
    """One binding that was accepted: for these tables, as this identity may read them."""

    id: int
    wanted: Wanted
    identity: Identity
    tables: frozenset[int]
    feed: Feed


class Feed:
    """The subscriptions of one channel, while they hold. lost: called when they no longer do. forget: ends them."""

    def __init__(
        self, topic: str, listener: Listener, *, lost: Callable[[], None], forget: Callable[[Feed], None]
    ) -> None:
        self.topic = topic
        self.listener = listener
        self.lost = lost
        self._forget = forget

    @property
    def version(self) -> Version:
        return self.listener.version

    def deliver(self, frame: bytes) -> None:
        self.listener.push(frame)

    def close(self) -> None:
        """End them. May be called twice."""
        self._forget(self)
