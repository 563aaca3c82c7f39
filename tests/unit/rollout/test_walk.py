from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from migctl.rollout import walk
from migctl.rollout.gates import Gate
from migctl.rollout.marking import missed, unheard
from migctl.rollout.walk import Action, Facts, Mark, Open, Roll, State, Step, Wait, Write
from migctl.validate.witness.minute import QUIET, Minute
from tests.unit.rollout.test_gates import GOOD

T0 = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
STEP = Step(
    stage="2b-25", percent=25, gates=(Gate("max_lost", 0),), soak_minutes=10,
    max_evidence_age_s=120, move_timeout_s=60, settle_timeout_s=30,
)  # fmt: skip
NEXT = msgspec.structs.replace(STEP, stage="2b-50", percent=50)
BOTH = frozenset(("websocket", "realtime"))


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def state(phase: str, **more: Any) -> State:
    return State(
        **{
            "version": 7,
            "stage": "2b-25",
            "step_id": "s1",
            "phase": phase,
            "since": T0,
            "marker": "e/9",
            **more,
        }
    )


def soaking(**more: Any) -> State:
    return state("soaking", soak_from=T0, **more)


def minutes(count: int, first: int = 0, **changed: Any) -> list[Minute]:
    return [
        Minute(id=f"m{n}", started_at=at(n), epoch="e", first_seq=1, last_seq=2, **{**GOOD, **changed})
        for n in range(first, first + count)
    ]


def go(one: State, seen: Facts, now: float, step: Step = STEP, following: Step | None = NEXT) -> Action:
    return walk.advance(one, step, following, seen, at(now), "s2")


def written(action: Action) -> State:
    assert isinstance(action, (Write, Roll)), action
    assert action.state.version == 8
    return action.state


def test_a_share_is_opened_first_and_users_are_waited_for() -> None:
    assert isinstance(go(state("moving"), Facts(share=False), 0), Open)
    assert go(state("moving"), Facts(), 0.5) == Wait("users move to their transport", 30.0)
    assert written(go(state("moving"), Facts(moved=True), 0.5)).phase == "settling"
    assert (
        written(go(state("moving"), Facts(), 1)).phase == "settling"
    )  # who is not back by now will be when they are


def test_a_step_has_settled_once_its_marker_came_out_of_both_transports() -> None:
    fresh = state("settling", marker=None)
    assert isinstance(go(fresh, Facts(epoch="e"), 0), Mark)
    placed = written(go(fresh, Facts(epoch="e", marker="e/9"), 0))
    assert (placed.phase, placed.marker, placed.since) == ("settling", "e/9", T0)
    facts = Facts(epoch="e", marker="e/9", released=frozenset({"websocket"}))
    assert go(state("settling"), facts, 0.1) == Wait("the marker on realtime", 24.0)
    late = written(go(state("settling"), facts, 0.5))
    assert (late.phase, late.paused, late.reason) == (
        "paused",
        "settling",
        "the marker did not arrive on realtime",
    )
    done = written(go(state("settling"), Facts(epoch="e", marker="e/9", released=BOTH), 0.2))
    assert (done.phase, done.soak_from) == ("soaking", at(0.2))


def test_no_marker_is_placed_before_the_witness_hears_both_transports_or_had_the_time_to() -> None:
    fresh = state("settling", marker=None)
    facts = Facts(epoch="e", unheard=frozenset({"realtime"}))
    assert go(fresh, facts, 0.1) == Wait("the witness to hear realtime", 24.0)
    assert isinstance(go(fresh, facts, 0.5), Mark)
    assert isinstance(go(fresh, Facts(epoch="e"), 0.1), Mark)


@pytest.mark.parametrize("before", [state("settling"), state("paused", paused="settling")])
def test_a_marker_that_the_witness_never_hears_is_followed_by_another_at_once(before: State) -> None:
    facts = Facts(epoch="e", marker="e/9", released=frozenset({"websocket"}), missed=frozenset({"realtime"}))
    again = written(go(before, facts, 0.1))
    assert (again.phase, again.marker, again.since) == ("settling", None, at(0.1))


@pytest.mark.parametrize(
    ("heard_from", "yet", "never"),
    [
        (None, set(), set()),
        ({}, BOTH, set()),
        ({"websocket": "e/8"}, {"realtime"}, set()),
        ({"websocket": "e/9", "realtime": "e/8"}, set(), {"websocket"}),
        ({"websocket": "e/10", "realtime": "/0"}, set(), {"websocket"}),
        ({"websocket": "d/10", "realtime": "e/9"}, set(), {"realtime"}),
    ],
)
def test_a_marker_is_heard_by_who_listens_from_before_it(
    heard_from: dict[str, str] | None, yet: set[str], never: set[str]
) -> None:
    assert (unheard(heard_from), missed("e/9", heard_from)) == (yet, never)
    assert missed(None, heard_from) == frozenset()


def test_a_marker_of_another_epoch_is_none() -> None:
    assert isinstance(go(state("settling"), Facts(epoch="f", marker="e/9", released=BOTH), 0), Mark)


def test_minutes_are_counted_not_the_clock() -> None:
    wait = go(soaking(), Facts(minutes=minutes(4), epoch="e"), 5)
    assert wait == Wait("6 of 10 minutes of evidence", 360.0)
    judged = written(go(soaking(), Facts(minutes=minutes(10), epoch="e"), 10.5))
    assert (judged.phase, judged.passed) == ("judged", ("2b-25",))


def test_minutes_from_before_the_soak_do_not_count() -> None:
    later = soaking(since=at(5))
    later = msgspec.structs.replace(later, soak_from=at(5))
    assert go(later, Facts(minutes=minutes(10), epoch="e"), 10.5) == Wait(
        "5 of 10 minutes of evidence", 300.0
    )


def test_a_soak_with_too_few_of_its_minutes_begins_again() -> None:
    seen = [*minutes(4), *minutes(5, first=5)]
    again = written(go(soaking(), Facts(minutes=seen, epoch="e"), 10.9))
    assert (again.phase, again.soak_from) == ("soaking", at(10.9))
    assert again.reason == "the soak begins again: only 9 of 10 minutes were observed"


def test_a_new_epoch_takes_a_new_marker() -> None:
    again = written(go(soaking(), Facts(minutes=minutes(3), epoch="f"), 3.5))
    assert (again.phase, again.marker, again.soak_from) == ("settling", None, None)


def test_a_failing_gate_rolls_back_or_pauses_as_it_says() -> None:
    bad = Facts(minutes=minutes(2, lost=1), epoch="e")
    rolled = go(soaking(), bad, 2.5)
    assert isinstance(rolled, Roll)
    assert (rolled.state.phase, rolled.state.reason) == (
        "aborted",
        "max_lost: 2 is above 0 in 2 minutes, and 0 may be",
    )
    pausing = msgspec.structs.replace(STEP, gates=(Gate("max_lost", 0, on_failure="pause"),))
    assert written(go(soaking(), bad, 2.5, pausing)).paused == "gate"


@pytest.mark.parametrize("paused", ["person", "no_data", "brake", "settling", "gate"])
def test_gates_go_on_judging_while_it_is_paused(paused: str) -> None:
    one = state("paused", paused=paused, soak_from=T0)
    assert isinstance(go(one, Facts(minutes=minutes(2, lost=1), epoch="e"), 2.5), Roll)


def test_missing_data_pauses_and_its_return_resumes() -> None:
    facts = Facts(minutes=minutes(3), epoch="e")
    assert isinstance(go(soaking(), facts, 5), Wait)
    paused = written(go(soaking(), facts, 6))
    assert (paused.phase, paused.paused, paused.reason) == ("paused", "no_data", "no evidence for 3 min")
    silent = msgspec.structs.replace(paused, version=7)
    assert go(silent, facts, 9) == Wait("no evidence for 3 min")
    back = written(go(silent, Facts(minutes=[*minutes(3), *minutes(1, first=9)], epoch="e"), 10.1))
    assert (back.phase, back.paused, back.soak_from) == ("soaking", None, at(10.1))


def test_minutes_without_events_or_without_a_transport_are_no_data() -> None:
    for empty in (
        minutes(6, expected=0, matched=0),
        minutes(6, verdict="inconclusive", reason="no realtime"),
    ):
        paused = written(go(soaking(), Facts(minutes=empty, epoch="e"), 6))
        assert paused.paused == "no_data"
    assert "no realtime" in (paused.reason or "")


def test_no_data_may_abort_where_the_stage_says_so() -> None:
    strict = msgspec.structs.replace(STEP, gates=(Gate("max_lost", 0, no_data="abort"),))
    assert isinstance(go(soaking(), Facts(epoch="e"), 6, strict), Roll)


@pytest.mark.parametrize("phase", ["moving", "settling", "soaking", "judged"])
def test_a_brake_pauses_it_and_is_not_lifted_by_it(phase: str) -> None:
    paused = written(go(state(phase, soak_from=T0), Facts(epoch="e", braked="10 % by ada"), 0.1))
    assert (paused.phase, paused.paused, paused.reason) == (
        "paused",
        "brake",
        "a brake was pulled: 10 % by ada",
    )
    assert isinstance(
        go(msgspec.structs.replace(paused, version=7), Facts(epoch="e", braked="10 % by ada"), 1), Wait
    )


def test_what_passed_goes_to_the_next_stage_and_the_last_is_done() -> None:
    begun = written(go(state("judged", soak_from=T0), Facts(minutes=minutes(10), epoch="e"), 10.5))
    assert (begun.phase, begun.stage, begun.step_id, begun.marker) == ("moving", "2b-50", "s2", None)
    done = written(
        go(state("judged", soak_from=T0), Facts(minutes=minutes(10), epoch="e"), 10.5, following=None)
    )
    assert done.phase == "done"
    assert isinstance(go(msgspec.structs.replace(done, version=7), Facts(), 11), Wait)


def test_an_aborted_rollout_stays_so_until_a_person_resumes_it_at_the_last_stage_that_passed() -> None:
    one = state("aborted", passed=("2a-internal", "2b-25"), reason="max_lost")
    assert go(one, Facts(minutes=minutes(99), epoch="e", moved=True), 99) == Wait("max_lost")
    resumed = walk.resumed(one, "2a-internal", "s9", at(1))
    assert (resumed.stage, resumed.phase, resumed.passed, resumed.version) == (
        "2b-25",
        "moving",
        ("2a-internal",),
        8,
    )
    assert walk.resumed(state("aborted"), "2a-internal", "s9", at(1)).stage == "2a-internal"


def test_a_pause_by_a_person_is_ended_by_a_person() -> None:
    paused = walk.paused(soaking(), "lunch", at(1))
    assert isinstance(
        go(msgspec.structs.replace(paused, version=7), Facts(minutes=minutes(9), epoch="e"), 9), Wait
    )
    resumed = walk.resumed(paused, "2a-internal", "s9", at(2))
    assert (resumed.phase, resumed.stage, resumed.step_id, resumed.soak_from) == (
        "moving",
        "2b-25",
        "s1",
        None,
    )
    with pytest.raises(ValueError, match="not paused"):
        walk.resumed(soaking(), "2a-internal", "s9", at(2))
    with pytest.raises(ValueError, match="aborted"):
        walk.paused(walk.aborted(soaking(), "no", at(1)), "why", at(2))


def test_a_share_that_was_set_by_hand_waits_for_resume() -> None:
    one = walk.set_by_hand(None, "2b-25", "s1", "set 25", T0)
    assert (one.version, one.phase, one.paused, one.stage) == (1, "paused", "person", "2b-25")
    assert walk.set_by_hand(soaking(), "2b-50", "s2", "set 60", T0).version == 8


def test_a_whole_walk_needs_nothing_but_its_state() -> None:
    """Each stage soaks for its own minutes, whoever is killed in between."""
    names = ["2a-internal", "2b-25", "2b-50", "2b-75", "2b-100"]
    steps = [msgspec.structs.replace(STEP, stage=name, soak_minutes=240) for name in names]
    one, now, seen_minutes, order = walk.begun(0, names[0], "s0", T0), 0, [], [names[0]]
    for _ in range(100_000):
        index = names.index(one.stage)
        following = steps[index + 1] if index + 1 < len(steps) else None
        facts = Facts(minutes=seen_minutes[-300:], moved=True, epoch="e", marker=f"e/{index}", released=BOTH)
        action = walk.advance(one, steps[index], following, facts, at(now), f"s{index + 1}")
        if isinstance(action, Write):
            if action.state.stage != one.stage:
                order.append(action.state.stage)
            one = action.state
            if one.phase == "done":
                break
        else:
            seen_minutes += minutes(1, first=now)
            now += 1
    assert (one.phase, order, one.passed) == ("done", names, tuple(names))
    assert 5 * 240 <= now < 5 * 240 + 30


QUIET_ONE: dict[str, Any] = {"expected": 0, "matched": 0, "verdict": "inconclusive", "reason": QUIET}


def test_quiet_minutes_are_no_evidence_and_begin_nothing_again() -> None:
    sparse = [one for n in range(0, 12, 2) for one in (*minutes(1, n), *minutes(1, n + 1, **QUIET_ONE))]
    wait = go(soaking(), Facts(minutes=sparse, epoch="e"), 12.5)
    assert wait == Wait("4 of 10 minutes of evidence", 240.0)


def test_minutes_that_nobody_saw_begin_a_soak_again_and_quiet_ones_beside_them_do_not_help() -> None:
    seen = [*minutes(5), *minutes(4, 5, **QUIET_ONE), *minutes(2, 10)]
    again = written(go(soaking(), Facts(minutes=seen, epoch="e"), 12.5))
    assert again.reason == "the soak begins again: only 11 of 12 minutes were observed"


def test_a_stream_that_is_silent_pauses_and_goes_on_where_it_was() -> None:
    seen = [*minutes(5), *minutes(3, 5, **QUIET_ONE)]
    silent = written(go(soaking(), Facts(minutes=seen, epoch="e"), 8.5))
    assert (silent.paused, silent.reason) == ("no_data", "no evidence for 4 min: no event was committed")
    back = [*seen, *minutes(1, 9)]
    # 9 of 10 were seen: too few
    again = written(go(msgspec.structs.replace(silent, version=7), Facts(minutes=back, epoch="e"), 10.1))
    assert (again.phase, again.soak_from) == ("soaking", at(10.1))
    back = [*seen, *minutes(1, 8, **QUIET_ONE), *minutes(1, 9)]
    on = written(go(msgspec.structs.replace(silent, version=7), Facts(minutes=back, epoch="e"), 10.1))
    assert (on.phase, on.soak_from) == ("soaking", T0)


def test_windows_are_counted_by_their_own_length() -> None:
    short = msgspec.structs.replace(STEP, soak_minutes=3, window_s=2.0, max_evidence_age_s=10.0)

    def window(n: int, **more: Any) -> Minute:
        (one,) = minutes(1, **more)
        return msgspec.structs.replace(one, id=f"w{n}", started_at=T0 + timedelta(seconds=2 * n))

    one = state("soaking", soak_from=T0 - timedelta(seconds=0.5))
    at_s = 1 / 60
    assert go(one, Facts(epoch="e"), 9 * at_s, short) == Wait("3 of 3 minutes of evidence", 6.0)
    assert written(go(one, Facts(epoch="e"), 13 * at_s, short)).reason == "no evidence for 12 s"
    facts = Facts(minutes=[window(0), window(1)], epoch="e")
    assert go(one, facts, 7 * at_s, short) == Wait("1 of 3 minutes of evidence", 2.0)
    facts = Facts(minutes=[window(0), window(1), window(2)], epoch="e")
    assert written(go(one, facts, 9 * at_s, short)).phase == "judged"
    facts = Facts(minutes=[window(0), window(1, verdict="inconclusive", reason="x"), window(2)], epoch="e")
    assert "only 2 of 3" in str(written(go(one, facts, 9 * at_s, short)).reason)


def test_what_a_stage_asks_for_besides_holds_the_next_one_back_while_gates_go_on() -> None:
    facts = Facts(minutes=minutes(10), epoch="e", withheld="drill failover has no record")
    assert go(state("judged", soak_from=T0), facts, 10.5) == Wait("drill failover has no record")
    assert written(go(state("judged", soak_from=T0), facts, 10.5, following=None)).phase == "done"
    bad = msgspec.structs.replace(facts, minutes=[*minutes(10), *minutes(1, 10, lost=1)])
    assert isinstance(go(state("judged", soak_from=T0), bad, 11.5), Roll)


def test_what_was_judged_does_not_go_on_by_evidence_that_is_old() -> None:
    old = Facts(minutes=minutes(10), epoch="e")
    assert go(state("judged", soak_from=T0), old, 60) == Wait("no evidence for 50 min")


def test_a_marker_that_arrives_late_is_settled_by_and_one_that_never_does_is_followed_by_another() -> None:
    paused = state("paused", paused="settling", reason="late")
    facts = Facts(epoch="e", marker="e/9")
    assert go(paused, facts, 1) == Wait("late")
    late = written(go(paused, msgspec.structs.replace(facts, released=BOTH), 1))
    assert (late.phase, late.paused, late.soak_from) == ("soaking", None, at(1))
    again = written(go(paused, facts, 3))
    assert (again.phase, again.paused, again.marker) == ("settling", None, None)
    assert written(go(paused, Facts(epoch="f", marker="e/9"), 1)).phase == "settling"


def test_a_step_is_opened_with_the_state_that_says_so() -> None:
    opened = go(state("moving"), Facts(share=False), 3)
    assert isinstance(opened, Open)
    assert (opened.state.phase, opened.state.version, opened.state.since) == ("moving", 8, at(3))
