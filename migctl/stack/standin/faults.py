"""Faults: the ways in which the real service loses events in silence, as switches. Pure: the time is passed in.

A lasting fault is on until it is cleared or its time is over. A blow falls once; with a time, whoever comes back in it is struck
too. Faults strike subscribers: whoever holds the service key is spared, so that what is sent goes out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

Name = Literal[
    "slot-loss",
    "subscriptions-cleared",
    "rate-skip",
    "early-reply",
    "clean-close",
    "channel-closed",
    "oversize",
    "poisoned-poll",
]
NAMES: tuple[Name, ...] = get_args(Name)

# How long a subscription takes while its reply comes too early: users report one to three seconds.
EARLY_S = 2.0
# Whoever comes back while sockets are being closed is heard no more, but kept so long: a client that returns at once would spin.
CLOSE_AFTER_S = 0.1
CLOSED_BECAUSE = "Realtime was unable to connect to the project database"


@dataclass(frozen=True, slots=True)
class Fault:
    """lasting: stays on. concerns: what loses events by it."""

    name: Name
    what: str
    lasting: bool
    concerns: Literal["postgres_changes", "all"] = "postgres_changes"


FAULTS: dict[Name, Fault] = {
    fault.name: fault
    for fault in (
        Fault(
            "slot-loss",
            "the replication slot is gone; what is committed until a new one is made is lost",
            True,
        ),
        Fault(
            "subscriptions-cleared",
            "all subscriptions to changes are deleted, as when the publication changes; channels stay joined",
            False,
        ),
        Fault("rate-skip", "changes are taken from the slot and skipped, as above the rate limit", True),
        Fault(
            "early-reply",
            f"a join is answered ok {EARLY_S:g} s before its subscription to changes holds",
            True,
        ),
        Fault("clean-close", "every subscriber's socket is closed with code 1000", False, "all"),
        Fault(
            "channel-closed", "every subscriber's channel is closed by phx_close; sockets stay", False, "all"
        ),
        Fault(
            "poisoned-poll",
            "reading a batch of changes fails, as by a policy that raises: the batch is lost, and the slot until a new one is made",
            True,
        ),
        Fault(
            "oversize", "every change is cut as if it were above 1 MiB: short values only, error 413", True
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Switched:
    """left_s: how long it stays on; None while it is on without an end. taken: changes that were skipped by it since the start."""

    fault: Fault
    on: bool
    left_s: float | None
    taken: int


class Faults:
    """Which are on. Times in monotonic seconds."""

    def __init__(self) -> None:
        self._until: dict[Name, float | None] = {}
        self._blows: dict[Name, Callable[[], None]] = {}
        self._taken: Counter[Name] = Counter()

    def strikes(self, name: Name, blow: Callable[[], None]) -> None:
        """What happens at the moment when `name` is switched on."""
        self._blows[name] = blow

    def switch_on(self, name: Name, now: float, for_s: float | None = None) -> None:
        """for_s: how long; None: until it is cleared, or, for a blow, this moment only."""
        if for_s is not None:
            self._until[name] = now + for_s
        elif FAULTS[name].lasting:
            self._until[name] = None
        if name in self._blows:
            self._blows[name]()

    def clear(self, name: Name | None = None) -> None:
        """Switch one off, or all."""
        for each in (name,) if name is not None else NAMES:
            self._until.pop(each, None)

    def on(self, name: Name, now: float) -> bool:
        if name not in self._until:
            return False
        until = self._until[name]
        return until is None or now < until

    def note_taken(self, name: Name, changes: int) -> None:
        """So many changes reach nobody because of this fault."""
        self._taken[name] += changes

    def all(self, now: float) -> list[Switched]:
        found = []
        for name, fault in FAULTS.items():
            until = self._until.get(name)
            on = self.on(name, now)
            left_s = until - now if on and until is not None else None
            found.append(Switched(fault, on, left_s, self._taken[name]))
        return found
