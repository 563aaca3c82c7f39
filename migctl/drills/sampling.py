"""Samples of what `serve` says of itself while a drill runs, and what they prove: when a breaker opened, when a backlog ended.

The sampler is a thread that asks every so often; the rules are pure.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import inf

import msgspec

from migctl.resilience import BreakerState, BreakerStatus
from migctl.status import ServeStatus

EVERY_S = 0.1
# An event that waits longer for the table than this is part of a backlog.
WAITS_S = 1.0
Part = str


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """at: unix seconds. away: serve did not answer, and the rest is unknown. opened: by breaker, when it did, how often before.

    backlog: the table lacks something for longer than it may take. fallback: subscribers are sent to the WebSocket.
    """

    at: float
    away: bool = False
    breakers: dict[Part, BreakerState] = {}
    since: dict[Part, float] = {}
    opened: dict[Part, int] = {}
    backlog: bool = False
    fallback: bool = False
    head: int = 0
    table_head: int = 0


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the timeline. at: unix seconds, of the run where it is printed."""

    at: float
    kind: str
    what: str


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A state from one time to another."""

    part: Part
    state: str
    since: float
    until: float


def sample_of(status: ServeStatus | None, at: float) -> Sample:
    """status: None where serve did not answer."""
    if status is None:
        return Sample(at=at, away=True)
    parts: Sequence[tuple[str, BreakerStatus]] = status.breakers.parts()
    relay = status.relay
    return Sample(
        at=at,
        breakers={part: of.state for part, of in parts},
        since={part: of.since.timestamp() for part, of in parts if of.since is not None},
        opened={part: of.opened for part, of in parts},
        backlog=relay is not None and (relay.oldest_waits_s or 0.0) > WAITS_S,
        fallback=status.fallback is not None and status.fallback.active,
        head=status.journal.head,
        table_head=relay.table_head if relay is not None else 0,
    )


def detected(samples: Sequence[Sample], armed: float, until: float = inf) -> float | None:
    """Seconds from a fault to the first breaker that opened after it, and before `until`; None where none did.

    As serve says it where it can be asked; a breaker that opened and closed between two samples is known by its count.
    """
    found: list[float] = []
    for before, after in pairwise(samples):
        for part, times in after.opened.items():
            if after.at < armed or times <= before.opened.get(part, 0):
                continue
            at = after.since.get(part, after.at) if after.breakers.get(part) == "open" else after.at
            if armed <= at < until:
                found.append(at - armed)
    return min(found, default=None)


def backlog_ended(samples: Sequence[Sample], lifted: float) -> float | None:
    """Seconds from a fault's end to the end of the last backlog that began before it ended; None where it did not end."""
    for one in samples:
        if one.at >= lifted and not one.away and not one.backlog and not one.fallback:
            return one.at - lifted
    return None


def changes(before: Sample | None, after: Sample) -> Iterator[Moment]:
    """What is worth a line between two samples."""
    if before is None:
        return
    if after.away != before.away:
        yield Moment(at=after.at, kind="serve", what="does not answer" if after.away else "answers")
    if after.away:
        return
    for part, state in after.breakers.items():
        # After a restart breakers are closed: no change, but another process.
        was = before.breakers.get(part)
        if was is not None and was != state:
            at = after.since.get(part, after.at)
            yield Moment(at=at, kind="breaker", what=f"{part}: {was} -> {state}")
    if not before.away and after.fallback != before.fallback:
        what = "subscribers are sent to the WebSocket" if after.fallback else "subscribers are called back"
        yield Moment(at=after.at, kind="fallback", what=what)
    if not before.away and after.backlog != before.backlog:
        yield Moment(at=after.at, kind="backlog", what="begins" if after.backlog else "ended")


def spans(samples: Sequence[Sample], until: float) -> list[Span]:
    """Breakers that are not closed, serve that is away, and fallback, each from one time to another."""
    found: list[Span] = []
    open_: dict[Part, tuple[str, float]] = {}
    for one in [*samples, Sample(at=until)]:
        states: dict[Part, str] = {part: state for part, state in one.breakers.items() if state != "closed"}
        if one.away:
            states["serve"] = "away"
        if one.fallback:
            states["fallback"] = "active"
        for part in [part for part in open_ if states.get(part) != open_[part][0]]:
            state, since = open_.pop(part)
            found.append(Span(part=part, state=state, since=since, until=one.at))
        for part, state in states.items():
            open_.setdefault(part, (state, one.at))
    return found


class Sampler:
    """`with Sampler(ask) as sampler`: asks until the block ends. changed: called from its thread, with each moment."""

    def __init__(
        self,
        ask: Callable[[], ServeStatus | None],
        changed: Callable[[Moment], None],
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self._every_s = every_s
        self._ask = ask
        self._changed = changed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            at = time.time()
            sample = sample_of(self._ask(), at)
            before = self.samples[-1] if self.samples else None
            self.samples.append(sample)
            for moment in changes(before, sample):
                self._changed(moment)
            self._stop.wait(max(0.0, self._every_s - (time.time() - at)))
