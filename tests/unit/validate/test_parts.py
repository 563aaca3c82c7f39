"""Pure parts of the report: histogram, gates, window."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.validate.clocks import P99, Late, late
from migctl.validate.gates import Bounds, Gate, Verdict, evaluate, overall, worst
from migctl.validate.latency import Histogram, Quantiles
from migctl.validate.tally import Examples

samples = st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=200)


def filled(values: list[int]) -> Histogram:
    histogram = Histogram()
    histogram.add_all(values)
    return histogram


@given(samples, st.sampled_from([1, 50, 95, 99, 100]))
def test_a_percentile_is_within_a_thousandth_of_the_exact_one(values: list[int], percent: int) -> None:
    exact = sorted(values)[max(1, -(-len(values) * percent // 100)) - 1]
    found = filled(values).percentile_us(percent)
    assert found is not None
    assert abs(found - exact) <= abs(exact) * 0.0005 + 0.5


@given(samples, samples)
def test_merged_histograms_are_the_histogram_of_both(one: list[int], other: list[int]) -> None:
    merged = filled(one)
    merged.merge(filled(other))
    assert merged == filled(one + other)
    assert merged.summary_ms().max == max(one + other) / 1000


def test_a_histogram_without_samples_has_nulls_and_n_zero() -> None:
    assert Histogram().summary_ms() == Quantiles(p50=None, p95=None, p99=None, max=None, n=0)


def test_a_histogram_is_bounded() -> None:
    assert len(filled(list(range(0, 60_000_000, 997))).counts) < 20_000


def judged(**found: object) -> dict[str, str]:
    facts = {"expected": 10, "match_percent": 100.0, "lost": 0, "latency_p99_ms": [P99(5.0, 10)]} | found
    return {gate.name: gate.verdict for gate in evaluate(Bounds(max_latency_p99_ms=100), **facts)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rejected", "expected", "verdict"),
    [(2, 10, "pass"), (3, 10, "fail"), (3, 0, "fail"), (0, 0, "inconclusive"), (None, 10, "inconclusive")],
)
def test_rejected_fail_though_nothing_is_expected_and_not_known_is_no_pass(
    rejected: int | None, expected: int, verdict: str
) -> None:
    gates = evaluate(
        Bounds(max_rejected=2),
        expected=expected,
        match_percent=100.0,
        lost=0,
        latency_p99_ms=[],
        rejected=rejected,
    )
    assert gates[-1] == Gate("max_rejected", 2, rejected, expected, verdict)  # type: ignore[arg-type]


def test_gates_without_samples_are_inconclusive() -> None:
    assert set(judged(expected=0, match_percent=None, latency_p99_ms=[P99(None, 0)]).values()) == {
        "inconclusive"
    }
    assert judged(latency_p99_ms=[P99(5.0, 10), P99(None, 0)])["max_latency_p99_ms"] == "inconclusive"
    assert judged(latency_p99_ms=[])["max_latency_p99_ms"] == "inconclusive"


def test_gates_fail_just_beyond_their_bound() -> None:
    assert set(judged(match_percent=99.9, latency_p99_ms=[P99(100.0, 1)]).values()) == {"pass"}
    assert judged(match_percent=99.899)["min_match_percent"] == "fail"
    assert judged(lost=1)["max_lost"] == "fail"
    assert judged(latency_p99_ms=[P99(100.1, 3), P99(None, 0)])["max_latency_p99_ms"] == "fail"


@pytest.mark.parametrize(
    ("at_least", "behind", "within", "known"),
    [
        (None, None, None, Late(0.0, None)),  # nobody asked
        (0.0, 3.0, 4.0, Late(0.0, 7.0)),  # it may be right
        (0.0, -500.0, 4.0, Late()),  # ahead: what was measured is too high, which hides nothing
        (0.0, 50.0, 4.0, Late(46.0, 54.0)),
        (48.0, 50.0, 4.0, Late(48.0, 54.0)),
        (80.0, 50.0, 4.0, Late(80.0, None)),  # it was set after it was asked
        (80.0, None, None, Late(80.0, None)),
    ],
)
def test_what_is_known_of_a_clock(
    at_least: float | None, behind: float | None, within: float | None, known: Late
) -> None:
    assert late(at_least, behind, within) == known


@pytest.mark.parametrize(
    ("p99", "verdict", "value"),
    [
        (P99(40.0, 10, Late(46.0, 54.0)), "pass", 86.0),  # 94 at most
        (P99(50.0, 10, Late(46.0, 54.0)), "inconclusive", 96.0),
        (P99(70.0, 10, Late(46.0, 54.0)), "fail", 116.0),
        (P99(-70.0, 10, Late(80.0, None)), "inconclusive", 10.0),
        (P99(50.0, 10, Late(0.0, None)), "inconclusive", 50.0),
        (P99(110.0, 10, Late(0.0, None)), "fail", 110.0),
        (P99(30.0, 10, Late(80.0, None)), "fail", 110.0),
    ],
)
def test_a_clock_that_is_behind_never_makes_a_bad_p99_good(p99: P99, verdict: str, value: float) -> None:
    gate = evaluate(
        Bounds(max_latency_p99_ms=100),
        expected=10,
        match_percent=100.0,
        lost=0,
        latency_p99_ms=[P99(5.0, 10), p99],
    )[-1]
    assert (gate.verdict, gate.value) == (verdict, value)


def test_only_gates_that_all_pass_make_a_pass() -> None:
    good, bad, open_ = (Gate("min_events", 1, 1, 1, verdict) for verdict in ("pass", "fail", "inconclusive"))
    assert overall([good, good], hidden=False, cut_short=False) == "pass"
    assert overall([good, open_], hidden=False, cut_short=False) == "inconclusive"
    assert overall([open_, bad], hidden=False, cut_short=False) == "fail"
    assert overall([bad], hidden=True, cut_short=False) == "inconclusive"
    assert overall([good], hidden=False, cut_short=True) == "terminated"
    assert overall([], hidden=False, cut_short=False) == "inconclusive"


@given(st.lists(st.integers(0, 1000), unique=True), st.integers(0, 10))
def test_examples_are_the_first_by_their_place(places: list[int], limit: int) -> None:
    examples = Examples(limit)
    for at in places:
        if examples.wants("late", at):
            examples.add("late", at, {})
    assert sorted(each.at for each in examples.take().get("late", [])) == sorted(places)[:limit]


@pytest.mark.parametrize(
    ("of", "verdict"),
    [
        ((), "pass"),
        (("pass", "pass"), "pass"),
        (("pass", "terminated"), "terminated"),
        (("terminated", "inconclusive"), "inconclusive"),
        (("inconclusive", "fail"), "fail"),
    ],
)
def test_of_two_comparisons_the_worse_verdict_is_that_of_both(
    of: Sequence[Verdict], verdict: Verdict
) -> None:
    assert worst(of) == verdict
