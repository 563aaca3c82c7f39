"""What a stage was judged by stands in the state that says so, as the record has it, and survives the way there and back."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from migctl.rollout.gates import Gate, judge_all
from migctl.rollout.judgement import Judgement, judgement, views
from migctl.rollout.standing import gated, state_of
from migctl.rollout.walk import Facts
from tests.unit.rollout.test_walk import STEP, at, go, minutes, soaking, state, written

PAUSING = msgspec.structs.replace(STEP, gates=(Gate("max_lost", 0, on_failure="pause"),))


def test_a_stage_that_was_judged_says_by_which_minutes_as_status_cites_them() -> None:
    soaked = minutes(10, sha256="ab")
    judged = written(go(soaking(), Facts(minutes=soaked, epoch="e"), 10.5)).judgement
    assert judged is not None
    assert (judged.stage, judged.verdict) == ("2b-25", "pass")
    (gate,) = judged.gates
    assert gate.sha256 == hashlib.sha256(b"\n".join([b"ab"] * 10)).hexdigest()
    assert (gate.value, gate.bound, gate.window, gate.evidence) == (0, 0, (at(0), at(9)), 10)
    assert list(judged.gates) == gated(STEP, soaking(), soaked, at(10.5)).gates


@pytest.mark.parametrize("step", [STEP, PAUSING])
def test_what_took_it_back_or_paused_it_stands_there_too(step: object) -> None:
    failed = written(go(soaking(), Facts(minutes=minutes(2, lost=1), epoch="e"), 2.5, step)).judgement  # type: ignore[arg-type]
    assert failed is not None
    assert (failed.verdict, failed.gates[0].value, failed.gates[0].beyond) == ("fail", 2, 2)


def test_it_is_read_again_as_it_was_written_and_a_state_from_before_has_none() -> None:
    judged = written(go(soaking(), Facts(minutes=minutes(10), epoch="e"), 10.5))
    assert state_of(msgspec.json.decode(msgspec.json.encode(judged))) == judged
    old = msgspec.to_builtins(state("soaking"))
    del old["judgement"]
    found = state_of(old)
    assert found is not None
    assert found.judgement is None


def test_a_gate_without_a_minute_cites_none() -> None:
    of = judgement("2b-25", judge_all(STEP.gates, [], whole=True), [])
    assert isinstance(of, Judgement)
    assert (of.verdict, of.gates[0].window, of.gates[0].sha256, of.gates[0].evidence) == (
        "inconclusive",
        None,
        None,
        0,
    )
    assert views(judge_all(STEP.gates, [], whole=False), [])[0].value is None
