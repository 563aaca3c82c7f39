"""The rules that a report's figures come from: windows, gaps, what of a bound was used, and the lines of its plots."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from migctl.rollout.judgement import GateView
from migctl.rollout.signoff.build import build
from migctl.rollout.signoff.evidence import MOST_BUCKETS, buckets_of, gaps_of, totals_of, windows_of
from migctl.rollout.signoff.incidents import MOST_GAPS
from migctl.rollout.signoff.lessons import used_percent
from migctl.rollout.signoff.plots import plots_of
from migctl.validate.witness.minute import QUIET, Minute
from tests.kit.walked import BEGIN, Walked
from tests.unit.rollout.signoff.test_build import whole
from tests.unit.rollout.test_gates import GOOD

QUIETLY: dict[str, Any] = {"verdict": "inconclusive", "reason": QUIET, "expected": 0}


def minute(number: int, **changed: Any) -> Minute:
    return Minute(
        id=f"m{number}", started_at=at(number), epoch="e", first_seq=1, last_seq=100, **{**GOOD, **changed}
    )


def at(minutes: float) -> datetime:
    return BEGIN + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("one", "counted"),
    [
        ({}, "evidence"),
        (QUIETLY, "quiet"),
        ({"verdict": "inconclusive"}, "inconclusive"),
        ({"verdict": "terminated"}, "terminated"),
        (None, "missing"),
    ],
)
def test_each_window_is_counted_once(one: dict[str, Any] | None, counted: str) -> None:
    minutes = [minute(0), *([minute(1, **one)] if one is not None else []), minute(2)]
    windows = windows_of(minutes, at(0), at(3), 60)
    expected = {"evidence": 2, "quiet": 0, "inconclusive": 0, "terminated": 0, "missing": 0}
    expected[counted] += 1
    assert {name: getattr(windows, name) for name in expected} == expected


def test_only_windows_that_lie_whole_within_a_time_are_asked_for() -> None:
    assert windows_of([], at(0.5), at(2.5), 60).missing == 1
    assert windows_of([minute(0), minute(1)], at(0.5), at(2.5), 60).evidence == 1


def test_gaps_are_runs_with_the_first_reason_and_quiet_is_none() -> None:
    minutes = [
        minute(0),
        minute(1, verdict="inconclusive"),
        minute(2, verdict="terminated", reason="x"),
        minute(4, **QUIETLY),
        minute(5),
    ]
    (gap,) = gaps_of(minutes, at(0), at(6), 60)
    assert (gap.began, gap.ended, gap.windows, gap.missing, gap.reason) == (at(1), at(4), 3, 1, "x")


def test_a_gap_that_no_window_came_after_lasts() -> None:
    (gap,) = gaps_of([minute(0)], at(0), at(3), 60)
    assert (gap.began, gap.ended, gap.windows) == (at(1), None, 2)
    of = Walked(soak=20)
    of.begin("2a-internal")
    of.until("soaking")
    of.pass_(3)
    of.pass_(9, there=False)
    (incident,) = [one for one in build(of.collected()).incidents if one.kind == "no_evidence"]
    assert (incident.ended, incident.duration_s, incident.ended_by) == (None, None, None)


def test_totals_are_of_windows_that_are_evidence_and_an_error_rate_is_by_requests() -> None:
    minutes = [
        minute(0, requests=10, error_rate_percent=10.0), minute(1, requests=90, error_rate_percent=0.0),
        minute(2, requests=50, error_rate_percent=None), minute(3, verdict="inconclusive", expected=7, lost=7),
    ]  # fmt: skip
    totals = totals_of(minutes, windows_of(minutes, at(0), at(4), 60))
    assert totals is not None
    assert (totals.compared, totals.lost, totals.outside, totals.requests) == (300, 0, 7, 100)
    assert totals.error_rate_percent == pytest.approx(1.0)
    assert totals_of([], windows_of([], at(0), at(4), 60)) is None


def test_a_walk_of_months_has_no_more_points_than_a_page_can_show_and_the_worst_of_each() -> None:
    minutes = [minute(n, **({"matched": 50} if n == 777 else {})) for n in range(0, 60 * 24 * 60, 7)]
    buckets, bucket_s = buckets_of(minutes, at(0), at(60 * 24 * 60), 60)
    assert len(buckets) <= MOST_BUCKETS
    assert min(one.match_percent or 100.0 for one in buckets) == 50.0
    assert bucket_s * len(buckets) >= 60 * 24 * 3600
    assert [one.match_percent for one in buckets_of([minute(0)], at(0), at(2), 60)[0]] == [100.0, None]


@pytest.mark.parametrize(
    ("name", "value", "bound", "used"),
    [
        ("max_latency_p99_ms", 80, 100, 80),
        ("min_match_percent", 99.95, 99.9, 50),
        ("max_lost", 0, 0, None),
        ("min_match_percent", 100, 100, None),
        ("max_latency_p99_ms", None, 100, None),
    ],
)
def test_how_much_of_a_bound_was_used(
    name: Any, value: float | None, bound: float, used: float | None
) -> None:
    gate = GateView(
        name=name, bound=bound, value=value, verdict="pass", samples=1, min_events=1, missing=None, missing_events=0, window=None,
        evidence=1, sha256=None, beyond=0, failure_limit=0, no_data="pause", on_failure="abort", dry_run=False,
    )  # fmt: skip
    found = used_percent(gate)
    assert found == (None if used is None else pytest.approx(used))


def test_the_closest_gate_is_a_lesson() -> None:
    of = Walked(soak=20)
    of.begin("2a-internal")
    of.until("judged", realtime=80)
    (text,) = [
        one.text for one in build(of.collected()).lessons if one.kind == "gate" and "latency" in one.text
    ]
    assert text.startswith("max_latency_p99_ms came to ")
    assert text.endswith("% of what is allowed")


def test_gates_that_came_nowhere_near_are_said_to() -> None:
    of = Walked(soak=20)
    of.begin("2a-internal")
    of.until("judged", realtime=1, websocket=1)
    texts = [one.text for one in build(of.collected()).lessons if one.kind == "gate"]
    assert texts == ["No gate that passed used 5 % of what its bound allows"]


def test_many_gaps_are_named_by_the_longest_of_them() -> None:
    of = Walked(soak=2000)
    of.begin("2a-internal")
    of.until("soaking")
    for length in range(1, MOST_GAPS + 6):
        of.pass_(3)
        of.pass_(1 + length % 3, there=False)
    of.pass_(5)
    report = build(of.collected())
    gaps = [one for one in report.incidents if one.kind == "no_evidence"]
    assert len(gaps) == MOST_GAPS
    assert any("5 more runs of windows without evidence" in text for text in report.missing)


def test_plots_have_their_bounds_their_holes_and_their_brakes() -> None:
    of = Walked(soak=200)
    of.begin("2a-internal")
    of.until("soaking")
    of.pass_(50)
    of.pass_(2, verdict="inconclusive", reason="x")
    of.set(50)
    of.pass_(10)
    of.brake("b1", 10)
    of.pass_(10)
    of.set(50, lifts=("b1",))
    of.pass_(10)
    report = build(of.collected())
    shares, latency, match = plots_of(report)
    (mark,) = shares.marks
    assert mark.width == pytest.approx(100 * 10 / 82, rel=0.05)
    assert shares.lines[0].path.startswith("M0 100H")
    assert shares.lines[0].path.endswith("H1000")
    assert latency.bound is not None
    assert latency.bound.label == "bound 100 ms"
    assert match.bound is not None
    assert 0 < match.bound.at < 100
    for line in (*latency.lines, *match.lines):
        assert line.path.count("M") == 2, "a hole where nothing is proven"
    assert 1 <= len(shares.across) <= 9
    assert plots_of(build(Walked().collected())) == []


@pytest.mark.parametrize("days", [0, 1, 9, 60])
def test_ticks_can_be_told_apart_however_long_it_took(days: int) -> None:
    of = whole()
    of.now += timedelta(days=days)
    report = build(of.collected())
    for plot in plots_of(report):
        assert 1 <= len(plot.across) <= 9
        assert all(0 <= tick.at <= 100 for tick in (*plot.across, *plot.up))
