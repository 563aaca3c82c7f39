"""The breaker, step by step: when it opens, for how long, and whose result counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from migctl.resilience import Breaker, BreakerChange, BreakerRules, BreakerStatus

RULES = BreakerRules(
    consecutive_failures=3,
    window_s=10.0,
    min_requests=8,
    max_failure_percent=50.0,
    open_s=1.0,
    max_open_s=10.0,
)


def opened_at(now: float) -> Breaker:
    breaker = Breaker(RULES)
    for _ in range(3):
        breaker.failed(now, "refused", breaker.begin(now))
    assert breaker.state == "open"
    return breaker


def test_it_opens_at_the_third_failure_in_a_row_and_not_before() -> None:
    breaker = Breaker(RULES)
    for _ in range(2):
        breaker.failed(0.0, "refused", breaker.begin(0.0))
    breaker.succeeded(0.0, breaker.begin(0.0))
    for _ in range(2):
        breaker.failed(0.0, "refused", breaker.begin(0.0))
    assert breaker.state == "closed"
    breaker.failed(0.0, "refused again", breaker.begin(0.0))
    assert (breaker.state, breaker.reason, breaker.opened) == ("open", "refused again", 1)


def test_it_opens_when_half_of_the_requests_in_the_window_failed_though_never_three_in_a_row() -> None:
    breaker = Breaker(RULES)
    for turn in range(4):
        breaker.succeeded(float(turn), breaker.begin(float(turn)))
        assert breaker.state == "closed", "fewer than min_requests say nothing"
        breaker.failed(float(turn), "503", breaker.begin(float(turn)))
    assert breaker.state == "open"


def test_failures_that_left_the_window_are_forgotten() -> None:
    breaker = Breaker(RULES)

    def tell(now: float, results: str) -> None:
        for each in results:
            leave = breaker.begin(now)
            assert leave is not None
            breaker.failed(now, "503", leave) if each == "f" else breaker.succeeded(now, leave)

    tell(0.0, "ffsffsf")
    tell(10.5, "ssf")  # of all, 6 of 10 failed; of the last ten seconds 1 of 3
    assert breaker.state == "closed"


def test_while_open_nothing_may_go_and_then_exactly_one_trial() -> None:
    breaker = opened_at(0.0)
    assert breaker.begin(0.999) is None
    assert breaker.wait_s(0.25) == 0.75
    trial = breaker.begin(1.0)
    assert trial is not None
    assert breaker.state == "half_open"
    assert breaker.begin(500.0) is None, "the trial is still out"
    assert breaker.wait_s(500.0) == float("inf")
    breaker.succeeded(500.0, trial)
    assert (breaker.state, breaker.reason) == ("closed", None)


def test_each_trial_that_fails_doubles_the_time_up_to_the_bound_and_one_that_succeeds_ends_that() -> None:
    breaker, now, waits = opened_at(0.0), 0.0, []
    for _ in range(6):
        waits.append(breaker.wait_s(now))
        now += waits[-1]
        breaker.failed(now, "refused", breaker.begin(now))
    assert waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert breaker.opened == 1, "a trial that fails is no new outage"
    now += 10.0
    breaker.succeeded(now, breaker.begin(now))
    breaker.trip(now, "silent")
    assert (breaker.wait_s(now), breaker.opened) == (1.0, 2)


def test_a_trial_that_is_cancelled_makes_room_for_the_next_at_once() -> None:
    breaker = opened_at(0.0)
    first = breaker.begin(1.0)
    breaker.gave_up(1.5, first)
    assert breaker.state == "open"
    assert breaker.begin(1.5) is not None


def test_an_answer_to_a_request_from_before_it_opened_ends_no_trial() -> None:
    breaker = Breaker(RULES)
    old = [breaker.begin(0.0) for _ in range(5)]
    for leave in old[:3]:
        breaker.failed(0.5, "refused", leave)
    trial = breaker.begin(1.5)
    breaker.succeeded(1.6, old[3])
    assert breaker.state == "half_open", "one that began before the outage proves nothing"
    breaker.failed(1.6, "timed out", old[4])
    breaker.gave_up(1.6, old[4])
    assert breaker.state == "half_open"
    assert breaker.begin(1.7) is None
    breaker.succeeded(1.8, trial)
    breaker.failed(1.9, "timed out", old[4])
    assert breaker.state == "closed"


def test_a_sign_without_leave_counts_in_every_state() -> None:
    breaker = opened_at(0.0)
    breaker.succeeded(0.1)
    assert breaker.state == "closed"
    breaker.trip(0.2, "no canary for 1.5 s")
    assert (breaker.state, breaker.reason) == ("open", "no canary for 1.5 s")
    breaker.begin(1.25)
    breaker.failed(1.5, "join refused")
    assert breaker.wait_s(1.5) == 2.0


def test_each_change_is_told_once_with_its_reason() -> None:
    told: list[BreakerChange] = []
    breaker = Breaker(RULES, told.append)
    for _ in range(3):
        breaker.failed(1.0, "refused", breaker.begin(1.0))
    breaker.trip(1.5, "silent")  # open already
    breaker.succeeded(2.5, breaker.begin(2.5))
    assert [(change.before, change.after, change.at, change.reason) for change in told] == [
        ("closed", "open", 1.0, "refused"),
        ("open", "half_open", 2.5, "silent"),
        ("half_open", "closed", 2.5, None),
    ]


def test_a_sign_of_life_lets_the_trial_go_now_and_a_failed_one_still_doubles_the_time_away() -> None:
    breaker = opened_at(0.0)
    breaker.hurry(0.25)
    leave = breaker.begin(0.25)
    assert leave is not None
    assert breaker.state == "half_open"
    breaker.failed(0.5, "refused", leave)
    assert breaker.wait_s(0.5) == 2.0


def test_its_status_tells_reason_and_way_out_until_it_is_closed_and_since_when_by_the_wall_clock() -> None:
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    breaker = Breaker(RULES)
    assert breaker.status("wait", now=0.0, wall=noon) == BreakerStatus(
        state="closed", since=None, reason=None, do=None, opened=0, next_trial_in_s=None
    )
    breaker.trip(10.0, "silent")
    assert breaker.status("wait", now=10.25, wall=noon + timedelta(seconds=0.25)) == BreakerStatus(
        state="open", since=noon, reason="silent", do="wait", opened=1, next_trial_in_s=0.75
    )
    trial = breaker.begin(11.0)
    half = breaker.status(None, now=11.0, wall=noon)
    assert (half.state, half.reason, half.next_trial_in_s) == ("half_open", "silent", None)
    breaker.succeeded(12.0, trial)
    closed = breaker.status("wait", now=12.5, wall=noon + timedelta(seconds=2.5))
    assert closed == BreakerStatus(
        state="closed",
        since=noon + timedelta(seconds=2),
        reason=None,
        do=None,
        opened=1,
        next_trial_in_s=None,
    )
