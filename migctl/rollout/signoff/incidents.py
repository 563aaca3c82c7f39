"""Incidents: what went wrong in a walk, with its begin, its end, what it did to users, and what ended it. Pure.

| kind | begins | ends |
|---|---|---|
| gate | its failure paused the walk, or took it back | the walk goes on; the brake is lifted |
| abort, brake | the brake was pulled | a later row names it |
| no_data, settling, paused_by_brake | the walk paused by it | the walk goes on |
| no_evidence | the first of some windows in a row that are none | the next one that is, or is quiet |
| outage | a source lost its stream | it had it again |
| reopened | the WebSocket was opened again | it was switched off again |

A person's own pause is none: it is in the timeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from migctl.flags.shares import ALL, EVERYTHING
from migctl.rollout.judgement import GateView, Judgement
from migctl.rollout.signoff.document import Attempt, Incident, IncidentKind
from migctl.rollout.signoff.evidence import Gap
from migctl.rollout.signoff.moves import Move, Moves, Pulled
from migctl.rollout.signoff.stages import stage_at
from migctl.rollout.walk import PauseKind, State
from migctl.status import OutageStatus

_KINDS: dict[PauseKind, IncidentKind] = {
    "no_data": "no_data", "gate": "gate", "settling": "settling", "brake": "paused_by_brake",
}  # fmt: skip
_STAYED = "nobody was moved"
# More of them than anybody reads: the longest are named, the rest is counted.
MOST_GAPS = 40


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which the walk waited. ended: None while it does."""

    kind: PauseKind
    began: datetime
    ended: datetime | None
    stage: str
    why: str | None
    who: str
    ended_by: str | None
    judgement: Judgement | None
    share: float | None

    @property
    def duration_s(self) -> float | None:
        return _lasted(self.began, self.ended)


def pauses_of(moves: Moves) -> list[Pause]:
    """Each, also those of a person; one that another kind of pause follows ends with that."""
    found: list[Pause] = []
    open_: tuple[Move, State] | None = None
    for move, state in moves.states:
        if open_ is not None and (state.phase != "paused" or state.paused != open_[1].paused):
            found.append(_pause(open_, move))
            open_ = None
        if open_ is None and state.phase == "paused":
            open_ = (move, state)
    if open_ is not None:
        found.append(_pause(open_, None))
    return found


def incidents_of(
    moves: Moves,
    pauses: Sequence[Pause],
    gaps: Sequence[Gap],
    outages: Sequence[OutageStatus],
    attempts: Sequence[Attempt],
) -> list[Incident]:
    """In the order in which they began."""
    found = [_of_pause(pause) for pause in pauses if pause.kind != "person"]
    found += [_of_brake(one, _judgement_of(one, moves)) for one in moves.pulled]
    found += _unbraked(moves)
    longest = sorted(gaps, key=lambda gap: gap.windows, reverse=True)[:MOST_GAPS]
    found += [_of_gap(gap, attempts) for gap in longest]
    found += [_of_outage(outage, attempts) for outage in outages]
    found += _reopened(moves)
    return sorted(found, key=lambda one: one.began)


def gate_words(gate: GateView) -> str:
    """`max_latency_p99_ms is 130, bound 100, in 3 windows`."""
    value = "without a value" if gate.value is None else f"is {gate.value:g}"
    beyond = f", in {gate.beyond} window{'s' if gate.beyond != 1 else ''}" if gate.beyond else ""
    return f"{gate.name} {value}, bound {gate.bound:g}{beyond}"


def _pause(begun: tuple[Move, State], end: Move | None) -> Pause:
    move, state = begun
    failed = state.judgement if state.paused == "gate" else None
    return Pause(
        kind=state.paused or "person", began=move.at, ended=end.at if end is not None else None, stage=state.stage,
        why=state.reason, who=move.who, ended_by=_by(end), judgement=failed, share=move.share,
    )  # fmt: skip


def _of_pause(pause: Pause) -> Incident:
    kind = _KINDS[pause.kind]
    what = _failing(pause.judgement) if pause.judgement is not None else _PAUSED[kind]
    return Incident(
        kind=kind, began=pause.began, ended=pause.ended, duration_s=pause.duration_s, stage=pause.stage,
        what=f"the walk paused: {what}", why=pause.why, who=pause.who, effect=_stay(pause.share), ended_by=pause.ended_by,
    )  # fmt: skip


def _of_brake(one: Pulled, judgement: Judgement | None) -> Incident:
    brake = one.brake
    kind: IncidentKind = "brake"
    what = f"{_SPLITS.get(brake.split, f'segment {brake.split}')} at most {brake.max_percent:g} %"
    if judgement is not None:
        kind, what = "gate", f"taken back to 0 %: {_failing(judgement)}"
    elif one.aborts:
        kind, what = "abort", "taken back to 0 %"
    return Incident(
        kind=kind, began=one.at, ended=one.ended, duration_s=_lasted(one.at, one.ended), stage=one.stage,
        what=what, why=brake.reason or None, who=brake.by or None, effect=_taken(one), ended_by=one.ended_by,
    )  # fmt: skip


def _unbraked(moves: Moves) -> list[Incident]:
    """Aborts of which the record has no brake."""
    found = []
    states = moves.states
    for place, (move, state) in enumerate(states):
        begins = state.phase == "aborted" and (move.before is None or move.before.phase != "aborted")
        if not begins or any(
            one.aborts and one.at <= move.at and (one.ended or move.at) >= move.at for one in moves.pulled
        ):
            continue
        end = next((later for later, after in states[place + 1 :] if after.phase != "aborted"), None)
        ended = end.at if end is not None else None
        found.append(
            Incident(
                kind="abort",
                began=move.at,
                ended=ended,
                duration_s=_lasted(move.at, ended),
                stage=state.stage,
                what="the rollout was aborted; its brake is not in the record",
                why=state.reason,
                who=move.who,
                effect=None,
                ended_by=_by(end),
            )
        )
    return found


def _judgement_of(one: Pulled, moves: Moves) -> Judgement | None:
    """Of the gate that failed, where the walker pulled it: the state says so right after."""
    if not one.aborts:
        return None
    for move, state in moves.states:
        if move.at >= one.at and state.phase == "aborted" and state.reason == one.brake.reason:
            failed = state.judgement
            return failed if failed is not None and failed.verdict == "fail" else None
    return None


def _of_gap(gap: Gap, attempts: Sequence[Attempt]) -> Incident:
    what = f"{gap.windows} windows without evidence"
    if gap.windows == 1:
        what = "a window without evidence"
    if gap.missing:
        what += (
            f", {gap.missing} of them not there at all" if gap.missing < gap.windows else ": not there at all"
        )
    return Incident(
        kind="no_evidence", began=gap.began, ended=gap.ended, duration_s=_lasted(gap.began, gap.ended),
        stage=stage_at(attempts, gap.began), what=what, why=gap.reason, who=None, effect="not known: nothing proves what users had",
        ended_by="the next window that came whole" if gap.ended is not None else None,
    )  # fmt: skip


def _of_outage(outage: OutageStatus, attempts: Sequence[Attempt]) -> Incident:
    return Incident(
        kind="outage", began=outage.began, ended=outage.ended, duration_s=_lasted(outage.began, outage.ended),
        stage=stage_at(attempts, outage.began), what=f"source {outage.source} lost its stream", why=outage.reason, who=None,
        effect="what the old service sent meanwhile never reached the journal, and so nobody",
        ended_by="its stream was there again" if outage.ended is not None else None,
    )  # fmt: skip


def _reopened(moves: Moves) -> list[Incident]:
    found = []
    states = moves.states
    for place, (move, state) in enumerate(states):
        was = move.before
        if move.action != "rollout.reopen" or was is None or was.completing is None:
            continue
        closed = was.completing.phase == "completed"
        end = next(
            (later for later, _ in states[place + 1 :] if later.action == "rollout.complete-completed"), None
        )
        ended = end.at if end is not None else None
        what = (
            "the WebSocket was opened again"
            if closed
            else f"switching off was called off, in {was.completing.phase}"
        )
        found.append(
            Incident(
                kind="reopened",
                began=move.at,
                ended=ended,
                duration_s=_lasted(move.at, ended),
                stage=state.stage,
                what=what,
                why=state.reason,
                who=move.who,
                effect="/ws was served again" if closed else _STAYED,
                ended_by=_by(end),
            )
        )
    return found


def _failing(judgement: Judgement) -> str:
    failed = [gate_words(gate) for gate in judgement.gates if gate.verdict == "fail" and not gate.dry_run]
    return "; ".join(failed) or "a gate failed"


def _taken(one: Pulled) -> str:
    if one.before is None or one.after is None:
        return "not known: who has what is a rule of somebody's own"
    if one.before == one.after:
        return f"the share of all stayed at {one.after:g} %"
    return f"on Realtime: {one.before:g} % of all before, {one.after:g} % after"


def _stay(share: float | None) -> str:
    return _STAYED if share is None else f"{_STAYED}: {share:g} % of all were on Realtime"


def _by(end: Move | None) -> str | None:
    if end is None:
        return None
    why = f": {end.why}" if end.why else ""
    return f"{end.action.removeprefix('rollout.')} by {end.who}{why}"


def _lasted(began: datetime, ended: datetime | None) -> float | None:
    return None if ended is None else max(0.0, (ended - began).total_seconds())


_PAUSED: dict[IncidentKind, str] = {
    "no_data": "no evidence came", "gate": "a gate failed", "settling": "the marker did not come out of both transports",
    "paused_by_brake": "a brake holds less than the stage opens",
}  # fmt: skip
_SPLITS = {ALL: "all", EVERYTHING: "everything, also who is assigned by name"}
