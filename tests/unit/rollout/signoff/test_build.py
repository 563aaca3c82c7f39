"""The report of whole walks, made by the rules of the walk itself: what it says happened did, and what is missing is named."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from migctl.events.times import format_time
from migctl.flags.record import Audited
from migctl.rollout import walk
from migctl.rollout.completing import Completing
from migctl.rollout.drills import Drilled
from migctl.rollout.reopening import reopened
from migctl.rollout.signoff.build import BREAKERS, build
from migctl.rollout.signoff.document import Signoff, json_schema
from migctl.rollout.standing import gated
from migctl.status import OutageStatus
from tests.kit.walked import BEGIN, WALKER, Walked

PUBLISHED = Path(__file__).parents[4] / "docs" / "signoff.schema.json"


def walked(**more: Any) -> Walked:
    return Walked(soak=more.pop("soak", 20), **more)


def completing(of: Walked, phase: Any, **more: Any) -> walk.State:
    assert of.state is not None
    now = Completing(phase=phase, since=of.now, **more)
    return msgspec.structs.replace(of.state, phase="done", paused=None, since=of.now, completing=now)


def whole() -> Walked:
    """From the first stage to the last without an incident, and switched off."""
    of = walked()
    of.begin("2a-internal")
    of.until("done")
    for phase in ("rampdown", "draining"):
        of.move(f"complete-{phase}", completing(of, phase))
        of.pass_(5)
    of.move("complete-completed", completing(of, "completed", accepted_lost=2, reason="old kiosks"))
    of.now += timedelta(minutes=5)
    return of


def of_kind(report: Signoff, kind: str) -> list[Any]:
    return [one for one in report.incidents if one.kind == kind]


def lessons(report: Signoff, kind: str) -> list[str]:
    return [one.text for one in report.lessons if one.kind == kind]


def test_a_walk_without_incident_has_its_stages_its_evidence_and_what_was_given_up() -> None:
    of = whole()
    report = build(of.collected(drilled=[Drilled("failover", "pass", BEGIN)], outages=[]))
    assert [one.stage for one in report.stages] == ["2a-internal", "2b-25", "2b-50", "2b-75", "2b-100"]
    assert [one.left_by for one in report.stages] == ["begin"] * 4 + ["done"]
    for one in report.stages:
        assert (one.by, one.windows.evidence, one.windows.missing, one.soaks, one.recorded) == (
            WALKER,
            20,
            0,
            1,
            True,
        )
        assert one.begun_at <= one.moved_at <= one.settled_at <= one.judged_at <= one.left_at  # type: ignore[operator]
        assert one.judgement is not None
        assert one.judgement.verdict == "pass"
    totals = report.totals
    assert totals is not None
    assert (totals.compared, totals.matched, totals.lost, totals.outside) == (110 * 600, 110 * 600, 0, 0)
    assert (totals.match_percent, totals.windows.evidence, totals.windows.missing) == (100.0, 110, 0)
    assert totals.transports["realtime"].latency_p99_ms is not None
    assert totals.transports["realtime"].latency_p99_ms.worst < 100
    assert (report.completed, report.began_at, report.incidents) == (True, BEGIN, [])
    assert report.completion is not None
    assert (report.completion.accepted_lost, report.completion.reason) == (2, "old kiosks")
    assert report.irrevocable
    assert report.to_delete
    assert report.missing == [BREAKERS]
    assert lessons(report, "lost") == ["2 subscribers given up: old kiosks"]
    assert lessons(report, "drill") == ["Drill failover ended with pass at 2026-03-02T08:00Z"]
    assert [point.percent for point in report.series.shares] == [0.0, 25.0, 50.0, 75.0, 100.0]


def test_a_gate_is_cited_as_status_and_promote_cite_it() -> None:
    of = walked()
    of.begin("2a-internal")
    of.until("judged")
    state = of.state
    assert state is not None
    (stage,) = build(of.collected()).stages
    assert stage.judgement is not None
    cited = gated(of.steps["2a-internal"], state, of.minutes, of.now)
    assert list(stage.judgement.gates) == cited.gates
    joined = "\n".join(minute.sha256 for minute in of.minutes).encode()
    assert stage.judgement.gates[0].sha256 == hashlib.sha256(joined).hexdigest()


def test_a_failing_gate_takes_everybody_back_and_the_stage_is_tried_again() -> None:
    of = walked()
    of.begin("2a-internal")
    of.until("judged")
    of.until("soaking")
    of.pass_(3)
    of.until("aborted", lost=2, matched=598)
    at = of.now
    of.pass_(30)
    (brake,) = [one.after["id"] for one in of.audited if one.action == "flags.brake"]  # type: ignore[index]
    assert of.state is not None
    of.move("resume", walk.resumed(of.state, "2a-internal", "again", of.now), why="a full disk; it is gone")
    of.set(0, lifts=(brake,), why="a full disk; it is gone")
    report = build(of.collected())
    (gate,) = of_kind(report, "gate")
    assert (gate.began, gate.duration_s, gate.stage, gate.who) == (at, 1800, "2b-25", WALKER)
    assert gate.what == "taken back to 0 %: max_lost is 2, bound 0, in 1 window"
    assert gate.effect == "on Realtime: 25 % of all before, 0 % after"
    assert gate.ended_by == "up by ada@ops: a full disk; it is gone"
    assert [(one.stage, one.left_by) for one in report.stages] == [
        ("2a-internal", "begin"), ("2b-25", "aborted"), ("2a-internal", None),
    ]  # fmt: skip
    failed = report.stages[1].judgement
    assert failed is not None
    assert failed.verdict == "fail"
    assert report.stages[1].recorded
    assert lessons(report, "attempts") == ["2a-internal took 2 attempts"]
    assert [point.percent for point in report.series.shares] == [0.0, 25.0, 0.0]
    assert not of_kind(report, "abort")


def test_silence_is_a_pause_that_ended_by_itself_and_its_minutes_are_missing() -> None:
    of = walked(soak=200)
    of.begin("2a-internal")
    of.until("soaking")
    of.pass_(60)
    of.pass_(8, there=False)
    of.pass_(30)
    report = build(of.collected())
    (pause,) = of_kind(report, "no_data")
    assert pause.ended_by == f"soaking by {WALKER}: data has returned; the soak begins again"
    assert pause.effect == "nobody was moved: 0 % of all were on Realtime"
    (gap,) = of_kind(report, "no_evidence")
    assert (gap.duration_s, gap.what) == (480, "8 windows without evidence: not there at all")
    (stage,) = report.stages
    assert (stage.windows.missing, stage.soaks, stage.left_at) == (8, 2, None)
    assert lessons(report, "soak") == ["The soak of 2a-internal began 2 times"]
    (pause_lesson,) = lessons(report, "pause")
    assert "by missing evidence" in pause_lesson


def test_windows_that_are_no_evidence_are_counted_and_their_events_prove_nothing() -> None:
    of = walked(soak=200)
    of.begin("2a-internal")
    of.until("soaking")
    of.pass_(30)
    of.pass_(2, verdict="inconclusive", reason="realtime: not joined")
    of.pass_(1, verdict="terminated")
    of.quiet(2)
    of.pass_(30)
    report = build(of.collected())
    totals = report.totals
    assert totals is not None
    assert msgspec.structs.astuple(totals.windows) == (60, 2, 2, 1, 0)
    assert (totals.compared, totals.outside) == (60 * 600, 3 * 600)
    (gap,) = of_kind(report, "no_evidence")
    assert (gap.what, gap.why) == ("3 windows without evidence", "realtime: not joined")


def test_a_person_who_lowers_pauses_and_forces_is_named_with_the_reason() -> None:
    of = walked()
    of.begin("2a-internal")
    of.until("judged")
    of.until("soaking")
    of.pass_(5)
    assert of.state is not None
    state = walk.begun(0, "2b-50", "forced", of.now, reason="forced: the fair begins")
    by = build(of.collected()).stages[-1].judgement
    of.move(
        "promote-forced", msgspec.structs.replace(state, judgement=by), who="bob@ops", why="the fair begins"
    )
    of.set(50, who="bob@ops", why="the fair begins")
    of.until("soaking")
    of.brake("b1", 10, who="carol@ops", why="a pager rang")
    of.move(
        "set",
        walk.set_by_hand(of.state, "2a-internal", "low", "a pager rang", of.now),
        who="carol@ops",
        why="a pager rang",
    )
    of.pass_(10)
    report = build(of.collected())
    forced = report.stages[1]
    assert (forced.stage, forced.left_by, forced.forced, forced.recorded) == (
        "2b-25",
        "promote-forced",
        "the fair begins",
        True,
    )
    assert lessons(report, "forced")[0].startswith("2b-25 was promoted by force: the fair begins (")
    (brake,) = of_kind(report, "brake")
    assert (brake.what, brake.who, brake.ended, brake.duration_s) == (
        "all at most 10 %",
        "carol@ops",
        None,
        None,
    )
    assert brake.effect == "on Realtime: 50 % of all before, 10 % after"
    assert "1 still in the record, and not lifted" in lessons(report, "brake")[0]
    kinds = [(one.kind, one.what) for one in report.timeline if one.who in ("bob@ops", "carol@ops")]
    assert kinds == [
        (
            "promote-forced",
            "2b-50 begins, by force; 25 %, segment internal 100 % -> 50 %, segment internal 100 %",
        ),
        ("brake", "a brake: all at most 10 %"),
        ("set", "a share was set by hand; the rollout waits in 2a-internal"),
    ]
    assert lessons(report, "pause")[-1].startswith("It has been paused since")


def test_a_share_that_is_lowered_is_one_entry_from_when_its_brake_was_pulled() -> None:
    of = walked()
    of.begin("2a-internal")
    of.set(50)
    of.pass_(5)
    of.brake("b1", 10, why="so", lower=True, ago_s=2)
    of.pass_(1)
    report = build(of.collected())
    at = of.now - timedelta(minutes=1, seconds=2)
    assert [(one.at, one.kind, one.what) for one in report.timeline][-1:] == [
        (at, "brake", "a brake: all at most 10 %")
    ]
    assert [(one.at, one.percent) for one in report.series.shares][-1] == (at, 10.0)
    assert of_kind(report, "brake")[0].effect == "on Realtime: 50 % of all before, 10 % after"


def test_a_completion_that_is_called_off_and_one_that_is_forced_are_both_said() -> None:
    of = walked()
    of.begin("2a-internal")
    of.until("soaking")
    of.pass_(5)
    of.move(
        "complete-forced",
        completing(of, "rampdown", forced="the old host is gone"),
        why="the old host is gone",
    )
    of.move("complete-draining", completing(of, "draining", forced="the old host is gone"))
    of.move("complete-completed", completing(of, "completed", forced="the old host is gone"))
    of.now += timedelta(minutes=10)
    assert of.state is not None
    of.move("reopen", reopened(of.state, "a kiosk was forgotten", of.now), why="a kiosk was forgotten")
    of.now += timedelta(minutes=30)
    report = build(of.collected())
    (again,) = of_kind(report, "reopened")
    assert (again.what, again.why, again.effect, again.ended) == (
        "the WebSocket was opened again", "a kiosk was forgotten", "/ws was served again", None,
    )  # fmt: skip
    assert (report.completed, report.irrevocable, report.to_delete, report.way_back) == (False, [], [], None)
    (stage,) = report.stages
    assert (stage.left_by, stage.forced) == ("complete-forced", "the old host is gone")
    assert [point.percent for point in report.series.shares] == [0.0, 100.0, 0.0]
    of.move("complete-completed", completing(of, "completed", forced="the old host is gone"))
    report = build(of.collected())
    assert of_kind(report, "reopened")[0].duration_s == 1800
    assert lessons(report, "forced") == [
        "Switching off began though the last stage had not passed: the old host is gone"
    ]


def test_an_outage_of_a_source_is_an_incident_where_it_reaches_into_the_walk() -> None:
    of = whole()
    before = OutageStatus(
        source="old", began=BEGIN - timedelta(hours=2), ended=BEGIN - timedelta(hours=1), reason="x"
    )
    within = OutageStatus(
        source="old", began=BEGIN + timedelta(minutes=30), ended=BEGIN + timedelta(minutes=31), reason="reset"
    )
    (outage,) = of_kind(build(of.collected(outages=[before, within])), "outage")
    assert (outage.duration_s, outage.why, outage.stage) == (60, "reset", "2b-25")


def test_a_segment_that_is_defined_anew_and_a_process_that_is_forgotten_are_in_the_timeline_and_other_flags_are_not() -> (
    None
):
    of = walked()
    of.begin("2a-internal")
    of.set(0)
    row = of.audited[-1].after
    for action, flag, parts, before, after in (
        ("flags.edit", None, ("$segment.internal", "$segment.staff"), row, row),
        ("flags.forget", None, (), {"name": "old-host:1"}, None),
        ("flags.edit", "menu", ("menu",), row, row),
        ("rollout.begin", "menu", ("menu",), None, None),
    ):
        of.now += timedelta(minutes=1)
        of.audited.append(Audited(format_time(of.now), action, flag, "dan@ops", "so", before, after, parts))
    report = build(of.collected())
    assert [one.what for one in report.timeline if one.who == "dan@ops"] == [
        "segments internal, staff defined anew", "without old-host:1: it is waited for no more",
    ]  # fmt: skip
    assert [one.percent for one in report.series.shares] == [0.0]


def test_nothing_is_made_up_where_nothing_is_there() -> None:
    report = build(Walked().collected())
    assert (report.began_at, report.totals, report.stages, report.timeline, report.incidents) == (
        None,
        None,
        [],
        [],
        [],
    )
    assert (report.completion, report.phase, report.lessons[0].text) == (
        None, None, "Drill failover is asked for by a stage, and has no record in this folder",
    )  # fmt: skip
    assert [one.sha256 for one in report.inputs] == [None, None]
    assert len(report.missing) == 5


def test_an_audit_that_begins_in_the_middle_and_entries_that_cant_be_read_are_said_to_be_missing() -> None:
    of = whole()
    audited = [
        *of.audited[3:],
        Audited("2026-03-02T12:00:00Z", "rollout.begin", "transport", "x", "", None, {"no": "state"}),
    ]
    report = build(of.collected(audited=audited))
    assert any("begins in the middle" in text for text in report.missing)
    assert any("an entry of the audit can't be read: rollout.begin of" in text for text in report.missing)


def test_an_attempt_without_a_verdict_in_the_record_is_judged_anew_and_says_so() -> None:
    of = walked()
    of.begin("2a-internal")
    of.until("soaking")
    of.pass_(10)
    (stage,) = build(of.collected()).stages
    assert stage.judgement is not None
    assert (stage.recorded, stage.judgement.verdict) == (False, "terminated")
    (without,) = build(of.collected(minutes=[])).stages
    assert (without.recorded, without.judgement) == (False, None)


@pytest.mark.parametrize("made", [whole, Walked])
def test_a_report_is_as_its_published_schema_says(made: Any) -> None:
    assert json.loads(PUBLISHED.read_text()) == json_schema(), (
        "if the change is meant: write it anew, and CHANGELOG.md"
    )
    document = json.loads(msgspec.json.encode(build(made().collected())))
    jsonschema.validate(document, json_schema())
    assert msgspec.convert(document, Signoff, strict=False).made_at


def test_what_it_is_made_from_has_a_digest_that_changes_with_it() -> None:
    of = whole()
    audit, evidence = build(of.collected()).inputs
    assert (audit.count, evidence.count) == (len(of.audited), len(of.minutes))
    fewer = build(of.collected(audited=of.audited[:-1], minutes=of.minutes[:-1])).inputs
    assert {audit.sha256, evidence.sha256}.isdisjoint({one.sha256 for one in fewer})
