"""Live: what each transport releases now, for whoever watches. Pure: the time is an argument. No gate goes by it.

A rate is of the last whole seconds, the present one left out; latency is of what came live within the last minute. An event has a
class as the relay gives it. Memory is bounded by the minute, whatever the rate.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime

from migctl.delivery.classes import Classifier, EventClass, Rates
from migctl.events.times import from_micros, micros_of, parse_time
from migctl.status.witness import HeardStatus, LiveLatency
from migctl.subscriber.core.release import Release
from migctl.validate.latency import Histogram

RATE_S = 5
KEPT_S = 60
# Upper bounds of what a picture of the distribution counts by, in milliseconds; above the last is the rest.
BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_SECOND_US = 1_000_000


class _Second:
    __slots__ = ("at", "by_class", "latency")

    def __init__(self, at: int) -> None:
        self.at = at
        self.by_class: Counter[EventClass] = Counter()
        self.latency = Histogram()


class Side:
    """One transport."""

    def __init__(self, classes: Classifier, began_us: int) -> None:
        self._classes = classes
        self._began = began_us // _SECOND_US
        self._seconds: deque[_Second] = deque()
        self._total: Counter[EventClass] = Counter()

    def released(self, release: Release) -> None:
        """One more. Control events are none."""
        if release.is_control:
            return
        arrived_us = micros_of(release.received_at)
        second = self._second(arrived_us // _SECOND_US)
        of = self._classes.observe(release.event_type, arrived_us / _SECOND_US)
        second.by_class[of] += 1
        self._total[of] += 1
        committed_us = _committed_us(release)
        if release.via == "live" and committed_us is not None:
            second.latency.add_all([arrived_us - committed_us])

    def status(self, now_us: int, *, up: bool, since_us: int | None, reason: str | None) -> HeardStatus:
        """What it comes to. up, since_us, reason: whether it is attached, since when, and why not."""
        now = now_us // _SECOND_US
        self._forget(now)
        seconds = min(RATE_S, max(1, now - self._began))
        rates: Counter[EventClass] = Counter()
        latency = Histogram()
        for second in self._seconds:
            latency.merge(second.latency)
            if now - seconds <= second.at < now:
                rates.update(second.by_class)
        of = latency.summary_ms()
        return HeardStatus(
            up=up,
            since=from_micros(since_us) if since_us is not None else None,
            reason=reason,
            events=sum(self._total.values()),
            events_by_class={str(name): count for name, count in sorted(self._total.items())},
            rate_per_s=sum(rates.values()) / seconds,
            rate_by_class={str(name): count / seconds for name, count in sorted(rates.items())},
            latency=LiveLatency(
                p50_ms=of.p50, p95_ms=of.p95, p99_ms=of.p99, max_ms=of.max, n=of.n, counts=counts(latency)
            ),
        )

    def _second(self, at: int) -> _Second:
        """What a clock that was put back says belongs to the newest."""
        if not self._seconds or at > self._seconds[-1].at:
            self._seconds.append(_Second(at))
            self._forget(at)
        return self._seconds[-1]

    def _forget(self, now: int) -> None:
        while self._seconds and self._seconds[0].at < now - KEPT_S:
            self._seconds.popleft()


class Live:
    """Both transports. patterns, rates: as the relay classes events."""

    def __init__(
        self, names: tuple[str, ...], began_at: datetime, patterns: Mapping[str, EventClass], rates: Rates
    ) -> None:
        began_us = micros_of(began_at)
        self.sides = {name: Side(Classifier(patterns, rates), began_us) for name in names}


def counts(latency: Histogram) -> list[int]:
    """Samples up to each of BOUNDS_MS, each counted once; last those above."""
    found = [0] * (len(BOUNDS_MS) + 1)
    for micros, count in latency.counts.items():
        at = next((at for at, bound in enumerate(BOUNDS_MS) if micros <= bound * 1000), len(BOUNDS_MS))
        found[at] += count
    return found


def _committed_us(release: Release) -> int | None:
    try:
        return micros_of(parse_time(release.committed_at)) if release.committed_at else None
    except ValueError:
        return None
