"""A rollout that is watched in a pipe: a line for what changed, none for figures that move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from migctl.cli.rollout_status_view import changes, line
from migctl.rollout.report import EvidenceView, ProcessView, RolloutStatus, SharesView
from migctl.rollout.standing import Awaited

NOW = datetime(2026, 1, 31, 13, 0, tzinfo=UTC)
SHARES = SharesView(percent=25, segments={}, users=0)
PROCESS = ProcessView(id="a", name="one", url=None, n=1, agrees=True, why=None)
SOAKING = RolloutStatus(
    target="here", flag="transport", variants=["websocket", "realtime"], at=NOW, tier="record", away=None, away_do=None, n=1,
    disabled=False, stage="2b-25", title="a quarter", percent=25, written=SHARES, effective=SHARES,
    state=Awaited(phase="soaking", awaits="evidence", left_s=90), passed=[], walker=None, gates=[],
    evidence=EvidenceView(verdict="pass", gathered=1, needed=4, age_s=3, wanting=[]), brakes=[], own=[], processes=[PROCESS],
    problems=[],
)  # fmt: skip


def test_what_changed_is_a_line_and_what_moves_is_none() -> None:
    moved = msgspec.structs.replace(
        SOAKING, at=NOW + timedelta(seconds=1), state=Awaited(phase="soaking", awaits="evidence", left_s=89)
    )
    assert changes(moved) == changes(SOAKING)
    paused = msgspec.structs.replace(
        SOAKING, state=Awaited(phase="paused", paused_by="person", awaits="`migctl rollout resume`")
    )
    apart = msgspec.structs.replace(SOAKING, processes=[msgspec.structs.replace(PROCESS, agrees=False)])
    assert len({str(changes(of)) for of in (SOAKING, paused, apart)}) == 3


def test_the_line_says_where_it_stands_and_what_is_wrong() -> None:
    assert line(msgspec.structs.replace(SOAKING, problems=["a gate fails"])) == (
        "2026-01-31T13:00:00Z 2b-25, soaking; 25 % on Realtime; gates pass; 1 of 1 processes agree; awaits evidence; a gate fails"
    )
    bare = msgspec.structs.replace(
        SOAKING, stage=None, state=Awaited(phase=None), evidence=None, processes=[]
    )
    assert line(bare) == "2026-01-31T13:00:00Z no stage yet, nothing began; 25 % on Realtime"
