"""Live: rates of whole seconds, latency of the last minute, whatever there is in a bounded memory."""

from __future__ import annotations

from migctl.delivery.classes import Rates
from migctl.events.times import micros_of
from migctl.status import HeardStatus
from migctl.validate.witness.live import Live, Side
from tests.kit.witnessing import at, event


def side() -> Side:
    return Live(("websocket",), at(0), {"cpu": "high"}, Rates()).sides["websocket"]


def status(of: Side, seconds: float) -> HeardStatus:
    return of.status(micros_of(at(seconds)), up=True, since_us=None, reason=None)


def test_a_rate_is_of_the_last_whole_seconds_by_class() -> None:
    of = side()
    for seq in range(1, 51):
        of.released(
            event(seq, 10 + seq / 10, received=10 + seq / 10, event_type="cpu" if seq % 2 else "disk")
        )
    found = status(of, 15.05)
    assert found.rate_per_s == 49 / 5  # what came in the sixteenth second is not whole yet
    assert found.events_by_class == {"high": 25, "low": 25}
    assert status(of, 40).rate_per_s == 0


def test_latency_is_of_what_came_live_within_a_minute() -> None:
    of = side()
    of.released(event(1, 1, received=1.015))
    of.released(event(2, 1, received=9, via="table"))
    found = status(of, 2).latency
    assert (found.n, found.counts) == (1, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    assert status(of, 63).latency.n == 0


def test_control_events_are_none() -> None:
    of = side()
    of.released(event(1, 1, received=1.1, event_type="sys.marker"))
    assert status(of, 3).events == 0
