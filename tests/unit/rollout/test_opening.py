from __future__ import annotations

import msgspec
import pytest

from migctl.flags.shares import ALL, EVERYTHING, Shares
from migctl.flags.snapshot import Brake
from migctl.rollout.opening import brake_id, braked, is_open, marker_id, wanted
from tests.unit.rollout.test_walk import STEP, T0, at, soaking, state

STEP_25 = msgspec.structs.replace(STEP, percent=25.0, segments={"internal": 100.0})


def shares(percent: float, **segments: float) -> Shares:
    return Shares("realtime", "websocket", segments=segments, percent=percent)


def brake(split: str, max_percent: float) -> Brake:
    return Brake(id="b", flag="transport", max_percent=max_percent, split=split, by="ada", reason="slow")


@pytest.mark.parametrize(
    ("has", "opened"),
    [
        (shares(10, internal=100), False),
        (shares(25, internal=100), True),
        (shares(30, internal=100), True),
        (shares(25, internal=50), False),
        (shares(25), False),
        (shares(100), True),
        (shares(25, internal=100, other=0), True),
    ],
)
def test_a_step_is_open_where_everybody_has_it_whom_it_names(has: Shares, opened: bool) -> None:
    assert is_open(has, STEP_25) is opened


def test_who_was_given_more_by_hand_keeps_it() -> None:
    assert wanted(shares(30, internal=50), STEP_25) == (30, {"internal": 100})
    half = msgspec.structs.replace(STEP, percent=25.0, segments={"internal": 50.0})
    assert wanted(shares(80), half) == (80, {"internal": 80})


@pytest.mark.parametrize(
    ("one", "takes"),
    [
        (brake(ALL, 10), True),
        (brake(ALL, 25), False),
        (brake("internal", 50), True),
        (brake("other", 0), False),
        (brake(EVERYTHING, 0), True),
        (brake(EVERYTHING, 100), False),
    ],
)
def test_a_brake_counts_where_it_takes_from_what_the_step_opens(one: Brake, takes: bool) -> None:
    why = braked(shares(25, internal=100), [one], STEP_25)
    assert (why is not None) is takes
    if takes:
        assert f"at most {one.max_percent:g} % by ada: slow" in (why or "")


def test_the_brake_of_the_walk_itself_is_not_met_as_somebody_elses() -> None:
    assert braked(shares(25), [brake(EVERYTHING, 0)], STEP, own={"b"}) is None


def test_ids_are_the_same_for_the_same_attempt_and_no_other() -> None:
    assert brake_id(soaking()) == brake_id(soaking(version=9))
    assert brake_id(soaking()) != brake_id(state("soaking", soak_from=at(1)))
    assert brake_id(soaking()) != brake_id(soaking(step_id="s2"))
    assert marker_id(state("settling"), "e") == marker_id(state("settling", since=T0), "e")
    assert marker_id(state("settling"), "e") != marker_id(state("settling"), "f")
    assert marker_id(state("settling"), "e") != marker_id(state("settling", version=8), "e")
