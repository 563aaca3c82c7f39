"""When a reader probes for what is missing, a test for each cell of the tables in core/repair.py."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from migctl.resilience import Backoff
from migctl.subscriber.core.repair import (
    POLL_HEALTHY_S,
    POLL_UNHEALTHY_S,
    Probe,
    Repair,
    Wait,
    poll_every_s,
)
from migctl.transports.protocol import TransportName

EVERY_S = 30.0
TO_THE_END, FOR_THE_GAP = Probe(to_the_end=True), Probe(to_the_end=False)


def new() -> Repair:
    """At 100. Pauses are 1, 2, 4, 4... seconds."""
    return Repair(100.0, lambda: 1.0, backoff=Backoff(1.0, 4.0))


def quiet() -> Repair:
    """A probe to the end was answered at 100, and nothing was missing."""
    repair = new()
    assert decide(repair, 100.0) == TO_THE_END
    repair.answered(100.0, TO_THE_END, came_forward=False, behind=False)
    return repair


def decide(
    repair: Repair, now: float, *, gap_at: float | None = None, every_s: float = EVERY_S
) -> Probe | Wait:
    return repair.decide(now, gap_at=gap_at, poll_every_s=every_s)


def test_a_new_reader_owes_a_probe_to_the_end_at_once() -> None:
    repair = new()
    assert repair.owes
    assert decide(repair, 100.0) == TO_THE_END
    assert repair.owes, "until it is answered"


def test_with_nothing_missing_it_waits_for_the_poll_which_is_to_the_end() -> None:
    repair = quiet()
    assert not repair.owes
    assert decide(repair, 129.9) == Wait(130.0)
    assert decide(repair, 130.0) == TO_THE_END
    assert repair.owes


def test_who_needs_no_poll_waits_for_a_change() -> None:
    assert decide(quiet(), 1e6, every_s=float("inf")) == Wait(float("inf"))


def test_a_gap_waits_for_its_time_and_is_probed_for_alone() -> None:
    repair = quiet()
    assert decide(repair, 105.0, gap_at=105.15) == Wait(105.15)
    assert decide(repair, 105.15, gap_at=105.15) == FOR_THE_GAP
    assert not repair.owes


def test_a_gap_waits_no_longer_than_the_poll() -> None:
    repair = quiet()
    assert decide(repair, 129.95, gap_at=130.1) == Wait(130.0)
    assert decide(repair, 130.0, gap_at=130.1) == TO_THE_END


def test_a_gap_waits_for_the_pause_since_the_last_probe() -> None:
    repair = quiet()
    repair.answered(110.0, FOR_THE_GAP, came_forward=False, behind=True)
    assert decide(repair, 110.9, gap_at=105.0) == Wait(111.0)
    assert decide(repair, 111.0, gap_at=105.0) == FOR_THE_GAP


def test_what_is_owed_waits_for_the_pause_since_the_last_probe() -> None:
    repair = new()
    repair.failed(100.0, behind=False)
    assert decide(repair, 100.9) == Wait(101.0)
    assert decide(repair, 101.0) == TO_THE_END


def test_a_poll_that_is_refused_waits_for_the_pause_though_its_time_is_over() -> None:
    repair, now = quiet(), 130.0
    for pause in (1.0, 2.0, 4.0, 4.0):
        assert decide(repair, now) == TO_THE_END
        repair.failed(now, behind=False)
        assert decide(repair, now) == Wait(now + pause)
        now += pause


def test_demand_ends_every_pause_and_is_to_the_end() -> None:
    repair = quiet()
    for at in (101.0, 102.0, 104.0):
        repair.answered(at, FOR_THE_GAP, came_forward=False, behind=True)
    assert decide(repair, 104.1, gap_at=100.0) == Wait(108.0)
    repair.demand()
    assert repair.owes
    assert decide(repair, 104.1, gap_at=100.0) == TO_THE_END
    repair.failed(104.1, behind=True)
    assert decide(repair, 104.2, gap_at=100.0) == Wait(105.1), "the pauses begin anew"


def test_demand_during_a_probe_is_not_answered_by_it() -> None:
    repair = new()
    probe = decide(repair, 100.0)
    assert probe == TO_THE_END
    repair.demand()
    repair.answered(100.5, TO_THE_END, came_forward=True, behind=False)
    assert repair.owes
    assert decide(repair, 100.5) == TO_THE_END


def test_an_answer_for_the_gap_alone_leaves_what_is_owed_and_the_poll_as_they_were() -> None:
    repair = quiet()
    repair.answered(120.0, FOR_THE_GAP, came_forward=True, behind=False)
    assert decide(repair, 121.0) == Wait(130.0)


@pytest.mark.parametrize(("came_forward", "pauses"), [(True, [1.0, 1.0, 1.0]), (False, [1.0, 2.0, 4.0, 4.0])])
def test_answered_and_still_behind_it_pauses_twice_as_long_each_time_that_nothing_came(
    came_forward: bool, pauses: list[float]
) -> None:
    repair, now = quiet(), 101.0
    for pause in pauses:
        repair.answered(now, FOR_THE_GAP, came_forward=came_forward, behind=True)
        assert decide(repair, now, gap_at=0.0, every_s=1e9) == Wait(now + pause)
        now += pause


def test_answered_with_nothing_left_missing_there_is_no_pause() -> None:
    repair = quiet()
    repair.answered(101.0, FOR_THE_GAP, came_forward=False, behind=True)
    repair.answered(102.0, FOR_THE_GAP, came_forward=True, behind=False)
    assert decide(repair, 102.0, gap_at=102.0) == FOR_THE_GAP


def test_failed_and_still_behind_it_pauses_twice_as_long_each_time() -> None:
    repair, now = quiet(), 101.0
    for pause in (1.0, 2.0, 4.0):
        repair.failed(now, behind=True)
        assert decide(repair, now, gap_at=0.0) == Wait(now + pause)
        now += pause


def test_failed_with_nothing_left_missing_there_is_no_pause() -> None:
    repair = quiet()
    repair.failed(101.0, behind=False)
    assert decide(repair, 101.0, gap_at=101.0) == FOR_THE_GAP


def test_pause_lies_between_a_half_and_all_of_its_bound() -> None:
    for random, pause in ((0.0, 0.5), (1.0, 1.0)):
        repair = Repair(100.0, lambda random=random: random, backoff=Backoff(1.0, 4.0))  # type: ignore[misc]
        repair.failed(100.0, behind=True)
        assert decide(repair, 100.0) == Wait(100.0 + pause)


@pytest.mark.parametrize(
    ("attached", "gateway_returns", "seconds"),
    [
        ({"websocket"}, False, float("inf")),
        ({"websocket"}, True, float("inf")),
        ({"websocket", "realtime"}, False, float("inf")),
        ({"websocket", "realtime"}, True, float("inf")),
        ({"realtime"}, False, POLL_HEALTHY_S),
        ({"realtime"}, True, POLL_HEALTHY_S),
        ((), False, POLL_UNHEALTHY_S),
        ((), True, float("inf")),
    ],
)
def test_how_often_it_polls_shows_by_what_is_attached(
    attached: Collection[TransportName], gateway_returns: bool, seconds: float
) -> None:
    assert poll_every_s(attached, gateway_returns=gateway_returns) == seconds
