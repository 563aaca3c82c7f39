"""Outlet: where a publisher's events become durable, and how it says that it did not take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from migctl.errors import Poison, Transient
from migctl.events import Event
from migctl.journal import Appended


class Outlet(Protocol):
    """A journal, near or far."""

    async def append(self, events: Sequence[Event], /) -> Appended:
        """Store all or none, and return once they are durable; idempotent by event id.

        Raises Conflict and Unfit for events that will never be taken, NotNow or another Transient for what is worth another try,
        any other MigctlError for what is not.
        """
        ...


class NotNow(Transient):
    """Nothing was stored, and it is asked not to come back before `after_s` seconds are over."""

    def __init__(self, what: str, *, do: str, after_s: float) -> None:
        super().__init__(what, do=do)
        self.after_s = after_s


class Unfit(Poison):
    """Events that are refused for what they are; nothing of the request was stored.

    reasons: index in the request to what is wrong, all of them; empty where it is not known which.
    """

    def __init__(self, what: str, *, do: str, reasons: Mapping[int, str]) -> None:
        super().__init__(what, do=do)
        self.reasons = reasons


class TooLarge(Unfit):
    """The request is larger than the outlet takes; nothing was stored."""

    def __init__(self, what: str) -> None:
        super().__init__(what, do="publish fewer or smaller events at a time", reasons={})
