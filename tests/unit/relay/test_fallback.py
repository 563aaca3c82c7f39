"""When subscribers are sent away from Realtime, and when they are called back."""

from __future__ import annotations

import pytest

from migctl.delivery.fallback import FallbackRule, Health, Lag, Move, spread_s
from migctl.resilience import BreakerState
from migctl.status import BreakersStatus
from tests.kit.statuses import breaker


def rule() -> FallbackRule:
    return FallbackRule(max_lag_s=1.0, hold_s=10.0)


def health(
    *,
    table: BreakerState = "closed",
    broadcast: BreakerState = "closed",
    backlog: bool = False,
    lag_s: float = 0.0,
) -> Health:
    return Health(
        BreakersStatus(table=breaker(table, "T"), broadcast=breaker(broadcast, "B")), backlog, lag_s
    )


WELL = health()


def test_either_breaker_sends_subscribers_away_at_once_and_says_why() -> None:
    assert rule().step(5.0, health(table="open")) == Move("websocket", "the breaker of table is open: T")
    assert rule().step(5.0, health(broadcast="open")) == Move(
        "websocket", "the breaker of broadcast is open: B"
    )


@pytest.mark.parametrize(
    "no_reason",
    [
        WELL,
        health(table="half_open"),
        health(broadcast="half_open"),
        health(backlog=True),
        health(lag_s=60.0),
    ],
)
def test_nothing_but_an_open_breaker_sends_anybody_away(no_reason: Health) -> None:
    one = rule()
    assert one.step(5.0, no_reason) is None
    assert not one.active


def test_what_was_proven_is_forgotten_when_anything_is_amiss_again() -> None:
    one = rule()
    one.step(0.0, health(table="open"))
    one.step(2.0, WELL)
    one.step(3.0, health(table="open"))  # soon after the return: to be well for a second is asked now
    assert one.step(10.0, WELL) is None
    assert one.step(10.9, health(backlog=True)) is None
    assert one.step(11.0, WELL) is None
    assert one.step(11.9, WELL) is None
    assert one.step(12.0, WELL) is not None


@pytest.mark.parametrize(("after_s", "at_once"), [(9.9, False), (10.0, True)])
def test_a_failure_is_soon_after_a_return_within_the_hold(after_s: float, at_once: bool) -> None:
    one = rule()
    one.step(0.0, health(table="open"))
    one.step(2.0, WELL)
    one.step(2.0 + after_s, health(table="open"))
    assert (one.step(20.0, WELL) is not None) is at_once


def test_how_long_they_stay_away_at_least_is_a_setting() -> None:
    one = FallbackRule(max_lag_s=1.0, hold_s=10.0, min_away_s=3.0)
    one.step(0.0, health(table="open"))
    assert one.step(2.9, WELL) is None
    assert one.step(3.0, WELL) is not None


def test_a_move_is_due_once_however_long_it_lasts() -> None:
    one = rule()
    assert one.step(0.0, health(table="open")) is not None
    assert [one.step(at / 10, health(table="open", broadcast="open")) for at in range(1, 600)] == [None] * 599


@pytest.mark.parametrize(
    "not_well",
    [
        health(table="half_open"),
        health(broadcast="open"),
        health(broadcast="half_open"),
        health(backlog=True),
        health(lag_s=1.0),
    ],
)
def test_nobody_is_called_back_while_anything_is_amiss(not_well: Health) -> None:
    one = rule()
    one.step(0.0, health(table="open"))
    assert one.step(30.0, not_well) is None
    move = one.step(30.1, WELL)
    assert move is not None
    assert move.to == "realtime"


def test_a_breaker_that_is_closed_again_at_once_keeps_them_for_a_second() -> None:
    one = rule()
    one.step(0.0, health(table="open"))
    assert one.step(0.1, WELL) is None
    assert one.step(0.9, WELL) is None
    assert one.step(1.0, WELL) is not None


def test_a_realtime_that_fails_again_soon_must_be_well_for_longer_each_time() -> None:
    one = rule()
    at, proofs = 0.0, []
    for _ in range(7):
        assert one.step(at, health(broadcast="open")) is not None
        at = well_from = at + 5.0
        while one.step(at, WELL) is None:
            at += 0.1
        proofs.append(at - well_from)
        at += 1.0
    assert proofs == pytest.approx([0.0, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0], abs=0.11)
    # After a good while the next failure is a first one again.
    at += 11.0
    one.step(at, health(broadcast="open"))
    assert one.step(at + 5.0, WELL) is not None


def test_lag_is_the_age_of_what_heads_do_not_announce() -> None:
    lag = Lag()
    assert lag.sample(0.0, 0, 0) == 0.0
    assert lag.sample(1.0, 10, 0) == 0.0
    assert lag.sample(2.0, 20, 9) == 1.0
    assert lag.sample(3.0, 20, 10) == 1.0
    assert lag.sample(4.0, 20, 20) == 0.0


def test_lag_of_a_new_epoch_begins_anew() -> None:
    lag = Lag()
    lag.sample(0.0, 500, 0)
    assert lag.sample(9.0, 3, 0) == 0.0
    assert lag.sample(9.5, 3, 0) == 0.5
    assert lag.sample(10.0, 3, 3) == 0.0
    assert lag.sample(11.0, 2, 2) == 0.0


def test_lag_of_a_long_outage_is_never_too_low() -> None:
    lag = Lag()
    for step in range(10_000):
        lag.sample(step * 0.1, step, 0)
    # Heads catch up with what the journal had at 500 s: it is 500 s behind.
    assert lag.sample(1000.0, 10_000, 5000) >= 500.0
    assert lag.sample(1000.0, 10_000, 10_000) == 0.0


def test_returning_is_spread_by_how_many_there_are_up_to_ten_seconds() -> None:
    assert [spread_s(count, returns_per_s=50.0, max_spread_s=10.0) for count in (0, 1, 100, 500, 50_000)] == [
        0.0,
        0.02,
        2.0,
        10.0,
        10.0,
    ]


def test_live_events_that_are_withheld_send_subscribers_away_until_they_come_again() -> None:
    withheld = Health(WELL.breakers, backlog=False, lag_s=0.0, withheld="the relay is throttled: vacuum")
    one = rule()
    assert one.step(0.0, withheld) == Move("websocket", "the relay is throttled: vacuum")
    assert one.step(60.0, withheld) is None
    assert one.active
    assert one.step(61.0, WELL) is not None
