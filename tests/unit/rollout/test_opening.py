from __future__ import annotations

from datetime import datetime

import msgspec
import pytest

from migctl.events import format_time
from migctl.flags.shares import ALL, EVERYTHING, Shares
from migctl.flags.snapshot import Brake
from migctl.rollout import walk
from migctl.rollout.gates import Gate
from migctl.rollout.opening import brake_id, braked, is_open, marker_id, soaked, under, wanted
from migctl.rollout.standing import gated
from migctl.rollout.walk import Share, State
from tests.unit.rollout.test_walk import STEP, T0, at, minutes, soaking, state

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


def test_what_a_person_set_is_opened_in_place_of_the_step() -> None:
    assert soaked(state("moving"), STEP_25) is STEP_25
    by_hand = walk.set_by_hand(None, "2b-25", "s1", "why", T0, Share(30, {"internal": 50}))
    resumed = walk.resumed(by_hand, "2a-internal", "s2", at(1))
    assert (soaked(resumed, STEP_25).percent, soaked(resumed, STEP_25).segments) == (30, {"internal": 50})
    assert is_open(shares(30, internal=50), soaked(resumed, STEP_25))
    # Gates ask for evidence of the segments that are opened there, and of no other, which would never come.
    asking = msgspec.structs.replace(STEP_25, gates=(Gate("max_lost", 0, cohorts=("internal", "beta")),))
    assert soaked(resumed, asking).gates == (Gate("max_lost", 0, cohorts=("internal",)),)
    of_all = walk.set_by_hand(None, "2b-25", "s1", "why", T0, Share(25))
    assert soaked(of_all, asking).gates == (Gate("max_lost", 0),)
    found = gated(asking, of_all, minutes(10), at(10))
    assert (found.verdict, found.wanting) == ("pass", [])
    # The next stage is its own again.
    judged = msgspec.structs.replace(resumed, phase="judged", soak_from=T0)
    seen = walk.Facts(minutes=minutes(1, first=2), epoch="e")
    following = msgspec.structs.replace(STEP, stage="2b-50", percent=50)
    action = walk.advance(judged, STEP_25, following, seen, at(3), "s3")
    assert isinstance(action, walk.Write)
    assert (action.state.stage, action.state.share) == ("2b-50", None)


@pytest.mark.parametrize(
    ("stood", "split", "max_percent", "pulled", "phase"),
    [
        (None, EVERYTHING, 0, at(1), "aborted"),
        (soaking(since=at(0)), EVERYTHING, 0, at(1), "aborted"),
        (soaking(since=at(1)), EVERYTHING, 0, at(1), "aborted"),
        (soaking(since=at(0)), EVERYTHING, 0, None, "aborted"),
        (state("done"), EVERYTHING, 0, at(1), "aborted"),
        (state("paused", paused="person"), EVERYTHING, 0, at(1), "aborted"),
        (soaking(since=at(2)), EVERYTHING, 0, at(1), "soaking"),
        (soaking(since=at(0)), EVERYTHING, 10, at(1), "soaking"),
        (soaking(since=at(0)), ALL, 0, at(1), "soaking"),
        (None, ALL, 0, at(1), None),
    ],
)
def test_a_brake_for_everybody_is_an_abort_that_the_state_may_not_have_heard_of(
    stood: State | None, split: str, max_percent: float, pulled: datetime | None, phase: str | None
) -> None:
    one = msgspec.structs.replace(brake(split, max_percent), at="" if pulled is None else format_time(pulled))
    stands = under(stood, [one], "2a-internal", "s9", at(3))
    assert (stands.phase if stands is not None else None) == phase
    if stands is not None and phase == "aborted":
        assert (stands.since, stands.reason) == (pulled or at(3), "slow")
        assert stands.stage == (stood.stage if stood is not None else "2a-internal")


def test_an_abort_is_heard_once() -> None:
    one = msgspec.structs.replace(brake(EVERYTHING, 0), at=format_time(at(1)))
    aborted = state("aborted", reason="a gate failed")
    assert under(aborted, [one], "2a-internal", "s9", at(3)) is aborted
