"""Whether it is safe to go on: the table of `migctl.status.going_on`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from migctl.status import (
    AlertStatus,
    FallbackStatus,
    Health,
    PositionStatus,
    Problem,
    ServeStatus,
    StageStatus,
)
from migctl.status.going_on import hindrances
from tests.kit.statuses import status

NOW = datetime(2026, 11, 25, 17, 36, tzinfo=UTC)


def well(**changed: Any) -> ServeStatus:
    of = status("everything")
    assert of.witness is not None and of.witness.window is not None
    window = replace(of.witness.window, fault=None)
    plain = {
        "health": Health(status="ok", problems=[]),
        "fallback": None,
        "journal": replace(of.journal, full=None, full_in_hours=None),
        "witness": replace(of.witness, alert=None, window=window),
        "stage": None,
    }
    return replace(of, **{**plain, **changed})


def parts(of: ServeStatus) -> list[str]:
    return [f"{one.part}: {one.state}" for one in hindrances(of)]


def test_a_serve_that_is_well_and_has_its_evidence_is_safe() -> None:
    assert hindrances(well()) == []


def test_what_is_wrong_with_its_health_hinders_first() -> None:
    throttled = Problem(part="relay", state="throttled", reason="vacuum", do="lift it")
    away = FallbackStatus(active=True, reason="breaker", since=NOW, times=1, heads_behind_s=0.0)
    found = well(health=Health(status="degraded", problems=[throttled]), fallback=away)
    assert parts(found) == ["relay: throttled", "fallback: subscribers of Realtime are on the WebSocket"]
    assert parts(well(fallback=replace(away, active=False))) == []


@pytest.mark.parametrize(("hours", "hinders"), [(None, False), (31.0, False), (1.0, False), (0.5, True)])
def test_a_journal_that_is_full_within_the_hour_hinders(hours: float | None, hinders: bool) -> None:
    journal = replace(well().journal, full_in_hours=hours)
    assert parts(well(journal=journal)) == (["journal: full in 30 min at this rate"] if hinders else [])


def test_a_disk_that_is_full_within_the_hour_is_named_for_what_it_is() -> None:
    journal = replace(well().journal, full_in_hours=0.5, full_first="disk")
    (one,) = hindrances(well(journal=journal))
    assert (one.state, one.do) == (
        "its disk full in 30 min at this rate",
        "make room on the disk now: see what grows there",
    )


def test_evidence_that_should_be_there_and_is_not_hinders() -> None:
    of = well()
    assert of.witness is not None
    assert parts(well(witness=None)) == ["witness: no window of evidence yet"]
    assert parts(well(witness=replace(of.witness, window=None))) == ["witness: no window of evidence yet"]
    assert parts(well(witness=None, witness_silent_s=None)) == []  # none is kept


def test_a_window_that_failed_or_an_alert_hinders_once() -> None:
    of = well()
    assert of.witness is not None and of.witness.window is not None
    failed = replace(of.witness, window=replace(of.witness.window, fault="match 98 %"))
    assert parts(well(witness=failed)) == ["witness: the last window failed"]
    raised = replace(failed, alert=AlertStatus(reason="match 98 %", since=NOW))
    assert parts(well(witness=raised)) == ["witness: alert"]


@pytest.mark.parametrize(
    ("phase", "paused_by", "hinders"),
    [
        ("soaking", None, []), ("moving", None, []), ("done", None, []), ("paused", "person", []),
        ("paused", "gate", ["rollout: paused by gate"]), ("paused", "no_data", ["rollout: paused by no_data"]),
        ("aborted", None, ["rollout: aborted"]),
    ],
)  # fmt: skip
def test_a_rollout_hinders_where_something_but_a_person_stopped_it(
    phase: str, paused_by: str | None, hinders: list[str]
) -> None:
    position = PositionStatus(stage="2b-25", phase=phase, paused_by=paused_by, reason="r")
    stage = StageStatus(stage="2b-25", changed=[], since=NOW, heard=True, rollout=position)
    assert parts(well(stage=stage)) == hinders
