from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from migctl.rollout.gates import Gate, judge, judge_all
from migctl.validate.witness.minute import Figures, Minute

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "expected": 100,
    "matched": 100,
    "error_rate_percent": 0.0,
    "requests": 10,
    "availability_percent": 100.0,
    "transports": {
        "websocket": Figures(received=100, latency_p99_ms=5.0, latency_n=100, delay_p99_ms=6.0, delay_n=100),
        "realtime": Figures(received=100, latency_p99_ms=50.0, latency_n=100, delay_p99_ms=60.0, delay_n=100),
    },
    "cohorts": {"all": 100, "internal": 20},
}


def minute(number: int = 0, **changed: Any) -> Minute:
    at = START + timedelta(minutes=number)
    return Minute(id=f"m{number}", started_at=at, epoch="e", first_seq=1, last_seq=100, **{**GOOD, **changed})


def figures(**changed: Any) -> dict[str, Figures]:
    one = Figures(
        **{
            "received": 100,
            "latency_p99_ms": 5.0,
            "latency_n": 100,
            "delay_p99_ms": 6.0,
            "delay_n": 100,
            **changed,
        }
    )
    return {**GOOD["transports"], "realtime": one}


@pytest.mark.parametrize(
    ("gate", "bad"),
    [
        (Gate("min_match_percent", 99.9), {"matched": 99}),
        (Gate("max_latency_p99_ms", 100), {"transports": figures(latency_p99_ms=101.0)}),
        (Gate("max_delay_p99_ms", 100), {"transports": figures(delay_p99_ms=101.0)}),
        (Gate("max_error_rate_percent", 0.1), {"error_rate_percent": 0.2}),
        (Gate("max_lost", 0), {"lost": 1}),
        (Gate("max_rejected", 0), {"rejected": 1}),
        (Gate("min_availability_percent", 99.99), {"availability_percent": 99.9}),
    ],
)
def test_each_gate_passes_a_good_minute_and_fails_a_bad_one(gate: Gate, bad: dict[str, Any]) -> None:
    assert judge(gate, [minute()], whole=True).verdict == "pass"
    failed = judge(gate, [minute(0), minute(1, **bad)], whole=True)
    assert (failed.verdict, failed.failed) == ("fail", ("m1",))


@pytest.mark.parametrize(
    ("beyond", "events", "whole", "verdict"),
    [
        (2, 100, True, "fail"), (2, 0, True, "fail"), (2, 100, False, "fail"), (2, 0, False, "fail"),
        (1, 0, True, "inconclusive"), (1, 0, False, "inconclusive"), (0, 0, True, "inconclusive"),
        (1, 100, False, "terminated"), (0, 100, False, "terminated"),
        (1, 100, True, "pass"), (0, 100, True, "pass"),
    ],
)  # fmt: skip
def test_the_table_of_a_gate(beyond: int, events: int, whole: bool, verdict: str) -> None:
    gate = Gate("min_availability_percent", 99.0, failure_limit=1, min_events=250)
    bad = [
        minute(number, availability_percent=50.0, transports=figures(received=events))
        for number in range(beyond)
    ]
    good = [minute(9 + number, transports=figures(received=events)) for number in range(3 - beyond)]
    assert judge(gate, [*bad, *good], whole=whole).verdict == verdict


def test_what_is_no_evidence_is_neither_good_nor_bad() -> None:
    gate = Gate("max_lost", 0)
    assert judge(gate, [], whole=True).verdict == "inconclusive"
    away = minute(verdict="inconclusive", reason="no realtime", lost=5)
    assert judge(gate, [away], whole=True).verdict == "inconclusive"
    assert (
        judge(Gate("max_error_rate_percent", 1), [minute(error_rate_percent=None)], whole=True).verdict
        == "inconclusive"
    )


def test_a_minute_without_a_figure_does_not_stand_for_a_good_one_where_another_was_beyond_the_bound() -> None:
    gate = Gate("max_latency_p99_ms", 100, failure_limit=1)
    slow = minute(1, transports=figures(latency_p99_ms=101.0))
    # Nothing came live on Realtime: all of it was read from the table, later.
    late = minute(2, transports=figures(latency_p99_ms=None, latency_n=0, delay_p99_ms=9_000.0))
    found = judge(gate, [slow, late], whole=True)
    assert (found.verdict, found.missing) == ("inconclusive", "a minute with a figure for it")
    assert judge(gate, [slow, minute(3)], whole=True).verdict == "pass"
    assert judge(gate, [late, minute(3)], whole=True).verdict == "pass"
    assert judge(gate, [slow, late, minute(4, transports=slow.transports)], whole=True).verdict == "fail"


@pytest.mark.parametrize("name", ["websocket", "realtime"])
def test_events_of_one_transport_are_no_evidence_of_the_other(name: str) -> None:
    transports = {**GOOD["transports"], name: Figures()}
    found = judge(
        Gate("min_match_percent", 99.9, min_events=100), [minute(transports=transports)], whole=True
    )
    assert (found.verdict, found.samples, found.missing) == (
        "inconclusive",
        0,
        "100 more events, and none arrive",
    )


def test_each_cohort_needs_events_of_its_own_and_the_gate_says_how_many_more() -> None:
    gate = Gate("max_lost", 0, min_events=452, cohorts=("internal",))
    found = judge(gate, [minute(0), minute(1)], whole=True)
    assert (found.verdict, found.missing) == ("inconclusive", "412 more events, about 21 min at this rate")


def test_losses_add_up_over_a_soak() -> None:
    gate = Gate("max_lost", 2)
    assert judge(gate, [minute(0, lost=1), minute(1, lost=1)], whole=True).verdict == "pass"
    assert judge(gate, [minute(0, lost=1), minute(1, lost=1), minute(2, lost=1)], whole=True).failed == (
        "m2",
    )


def test_a_failing_gate_decides_by_its_own_word_and_a_dry_run_by_none() -> None:
    minutes = [minute(matched=0, lost=100)]
    abort, pause = Gate("max_lost", 0), Gate("min_match_percent", 99.9, on_failure="pause")
    assert judge_all([pause], minutes, whole=True).action == "pause"
    both = judge_all([pause, abort], minutes, whole=True)
    assert (both.verdict, both.action) == ("fail", "abort")
    assert both.reason == "max_lost: 100 is above 0 in 1 minute, and 0 may be"
    dry = judge_all([Gate("max_lost", 0, dry_run=True), Gate("max_rejected", 0)], minutes, whole=True)
    assert (dry.verdict, dry.action, dry.gates[0].verdict) == ("pass", None, "fail")


def test_without_a_gate_nothing_passes() -> None:
    assert judge_all([], [minute()], whole=True).verdict == "inconclusive"
    assert judge_all([Gate("max_lost", 0, dry_run=True)], [minute()], whole=True).verdict == "inconclusive"
    assert judge_all([Gate("max_lost", 0)], [minute()], whole=False).verdict == "terminated"
