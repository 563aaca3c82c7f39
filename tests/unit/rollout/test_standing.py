"""Where a rollout stands: what its gates lack, what it waits for, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from migctl.errors import Systemic
from migctl.flags.shares import EVERYTHING
from migctl.flags.snapshot import Brake
from migctl.rollout import report, standing
from migctl.rollout.gates import Gate
from migctl.rollout.report import ProcessView
from migctl.rollout.standing import Awaited, awaited, gated, state_of
from migctl.rollout.walk import State, Step
from migctl.validate.witness.minute import Figures, Minute

NOW = datetime(2026, 1, 31, 13, 0, tzinfo=UTC)
STEP = Step(
    stage="2b-25", percent=25, gates=(Gate("min_match_percent", 99.9, min_events=30), Gate("max_lost", 0, dry_run=True)),
    soak_minutes=4, max_evidence_age_s=300, move_timeout_s=120, settle_timeout_s=60,
)  # fmt: skip


def state(phase: str = "soaking", **more: Any) -> State:
    begin = NOW - timedelta(minutes=5)
    found = {"version": 3, "stage": "2b-25", "step_id": "s", "phase": phase, "since": begin, **more}
    return State(**found)


def minutes(count: int, *, matched: int = 10, ago: float = 5) -> list[Minute]:
    figures = {name: Figures(received=10) for name in ("websocket", "realtime")}
    return [
        Minute(
            id=f"m{one}", started_at=NOW - timedelta(minutes=ago - one), epoch="e", first_seq=1, last_seq=10,
            expected=10, matched=matched, transports=figures, sha256=f"{one:064d}",
        )
        for one in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("of", "verdict", "wanting"),
    [
        (minutes(4), "pass", []),
        (minutes(3), "terminated", ["the soak: 3 of 4 minutes"]),
        (minutes(0), "inconclusive", ["30 more events, and no window of evidence yet", "the soak: 0 of 4"]),
        (minutes(2), "inconclusive", ["10 more events, about 1 min at this rate", "the soak: 2 of 4"]),
        (minutes(4, matched=9), "fail", ["90, bound 99.9: beyond it in 4 min"]),
        (minutes(4, ago=30), "pass", ["the newest evidence is 27 min old"]),
    ],
)
def test_why_gates_promote_nothing(of: list[Minute], verdict: str, wanting: list[str]) -> None:
    found = gated(STEP, state(since=NOW - timedelta(minutes=60)), of, NOW)
    assert found.verdict == verdict
    assert len(found.wanting) == len(wanting)
    assert all(part in whole for part, whole in zip(wanting, found.wanting, strict=True))


def test_minutes_from_before_the_soak_are_no_evidence_of_it_and_each_that_counts_is_cited() -> None:
    found = gated(STEP, state(soak_from=NOW - timedelta(minutes=3)), minutes(5), NOW)
    assert [one.sha256 for one in found.evidence] == [f"{one:064d}" for one in (2, 3, 4)]
    assert found.gates[0].window == (NOW - timedelta(minutes=3), NOW - timedelta(minutes=1))
    assert standing.counts_from(None) is None


@pytest.mark.parametrize(
    ("at", "walked", "awaits", "left_s"),
    [
        (None, False, "set N", None),
        (state("moving", since=NOW), True, "users move", 120),
        (state("settling", since=NOW), True, "marker", 60),
        (state("soaking"), True, "evidence: 2 of 4 minutes", 120),
        (state("soaking"), False, "nobody walks", None),
        (state("judged"), True, "next stage", None),
        (state("paused", paused="person"), False, "resume", None),
        (state("paused", paused="no_data"), False, "by itself", None),
        (state("aborted"), False, "last stage that passed", None),
        (state("done"), False, "complete", None),
    ],
)
def test_what_it_waits_for(at: State | None, walked: bool, awaits: str, left_s: float | None) -> None:
    found = awaited(at, STEP, gated(STEP, at, minutes(2), NOW), NOW, walked=walked)
    assert awaits in (found.awaits or "")
    assert found.left_s == left_s


def test_a_state_is_read_as_it_was_written_and_another_is_refused() -> None:
    assert state_of(msgspec.json.decode(msgspec.json.encode(state()))) == state()
    assert state_of(None) is None
    with pytest.raises(Systemic, match="can't be read"):
        state_of({"version": "later"})


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ({}, []),
        ({"state": Awaited(phase="paused", paused_by="person", reason="lunch")}, []),
        ({"state": Awaited(phase="paused", paused_by="gate", reason="slow")}, ["paused: slow"]),
        ({"state": Awaited(phase="aborted")}, ["aborted"]),
        ({"gates": gated(STEP, state(), minutes(4, matched=9), NOW).gates}, ["gate min_match_percent fails"]),
        ({"brakes": [Brake(id="b1", flag="transport", max_percent=0, split=EVERYTHING)]}, ["b1"]),
        ({"own": [Brake(id="b1", flag="transport", max_percent=0)]}, ["nobody confirmed brake b1"]),
        (
            {"away": "refused", "away_do": "start it", "disabled": True},
            ["disabled", "away: refused; start it"],
        ),
        (
            {"processes": [ProcessView(id="p", name="h:1", url=None, n=1, agrees=False, why="older")]},
            ["h:1: older"],
        ),
    ],
)
def test_what_is_wrong(more: Mapping[str, Any], wrong: list[str]) -> None:
    well: dict[str, Any] = {
        "away": None, "away_do": None, "disabled": False, "state": Awaited(phase="soaking"), "gates": [], "brakes": [], "own": [],
        "processes": [],
    }  # fmt: skip
    found = report.problems(**{**well, **more})
    assert len(found) == len(wrong)
    assert all(part in whole for part, whole in zip(wrong, found, strict=True))
