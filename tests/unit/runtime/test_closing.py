"""What the record's state says of a completion, and what a start after one is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from migctl.config import Settings
from migctl.rollout import walk
from migctl.rollout.completing import Completing, Completion
from migctl.rollout.reopening import reopened
from migctl.rollout.standing import state_of
from migctl.rollout.walk import State
from migctl.runtime.closing import remarks
from migctl.runtime.rollout_complete import WORDS
from migctl.runtime.staged import completed_by, stage_of

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def state(phase: Completion | None) -> State:
    before = walk.begun(3, "2b-100", "step", NOW, passed=("2b-100",))
    of = Completing(phase=phase, since=NOW) if phase is not None else None
    return msgspec.structs.replace(before, phase="done", completing=of)


def recorded(of: State) -> Any:
    return msgspec.json.decode(msgspec.json.encode(of))


@pytest.mark.parametrize(
    ("phase", "stage", "completed"),
    [
        (None, "2b-100", False),
        ("rampdown", "2c-deprecate", False),
        ("draining", "2c-deprecate", False),
        ("completed", "2c-deprecate", True),
    ],
)
def test_only_what_is_completed_is_switched_off(
    phase: Completion | None, stage: str, completed: bool
) -> None:
    document = recorded(state(phase))
    assert (stage_of(document), completed_by(document)) == (stage, completed)
    assert state_of(document) == state(phase)


def test_before_the_first_state_nothing_is_switched_off() -> None:
    assert not completed_by(None)


@pytest.mark.parametrize("phase", ["rampdown", "draining"])
def test_going_down_before_the_switch_ends_the_completion(phase: Completion) -> None:
    assert walk.aborted(state(phase), "why", NOW).completing is None
    assert walk.set_by_hand(state(phase), "2b-25", "s", "why", NOW).completing is None


def test_once_it_is_switched_off_only_reopening_ends_that() -> None:
    for after in (
        walk.aborted(state("completed"), "why", NOW),
        walk.set_by_hand(state("completed"), "2b-25", "s", "why", NOW),
    ):
        assert completed_by(recorded(after))
        assert after.phase == "done"
        assert "migctl rollout revert" in (after.reason or "")
    back = reopened(state("completed"), "why", NOW)
    assert (back.completing, back.phase, back.paused, back.version) == (None, "paused", "person", 5)


def test_a_start_after_completion_says_what_to_take_out() -> None:
    said = list(remarks(Settings(mode="dual"), "websocket"))
    assert ["take out" in said[0], "MIGCTL_FLAG_TRANSPORT=websocket can't be honoured" in said[1]] == [
        True,
        True,
    ]
    assert list(remarks(Settings(mode="realtime"), None)) == []
    assert set(WORDS) == {"rampdown", "draining", "completed"}
