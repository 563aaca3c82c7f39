"""Build: the sign-off report from what was collected of a walk. Pure: structs in, a struct out.

What could not be collected is named in `missing`, and is null where it would stand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from migctl.flags.assignment import Switch
from migctl.flags.record import Audited
from migctl.rollout.afterwards import IRREVOCABLE, TO_DELETE, WAY_BACK
from migctl.rollout.drills import Drilled
from migctl.rollout.signoff.document import Completion, Input, Series, Signoff
from migctl.rollout.signoff.evidence import Gap, buckets_of, gaps_of, totals_of, whole_within, windows_of
from migctl.rollout.signoff.incidents import MOST_GAPS, incidents_of, pauses_of
from migctl.rollout.signoff.lessons import lessons_of
from migctl.rollout.signoff.moves import Moves, moves_of
from migctl.rollout.signoff.stages import attempts_of
from migctl.rollout.signoff.timeline import points_of, timeline_of
from migctl.rollout.walk import State, Step
from migctl.status import OutageStatus
from migctl.validate.witness.minute import Minute

# A window that has just ended is on its way to the record, and is not missing yet.
AWAITED_WINDOWS = 3
BREAKERS = "breakers: when one opened and closed is in the log of its serve, and not in the record"


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of a walk.

    audited: of flags and rollouts, the oldest first. minutes: of the same time, in order. state: where it stands; None before the
    first.
    steps, titles: by stage, as their files are now. outages, drilled: of the state folder; None where it has none of them.
    inputs: the files that were read. missing: what could not be had, and why.
    """

    version: str
    made_at: datetime
    target: str
    switch: Switch
    audited: Sequence[Audited]
    minutes: Sequence[Minute]
    state: State | None
    steps: Mapping[str, Step]
    titles: Mapping[str, str]
    window_s: float
    outages: Sequence[OutageStatus] | None = None
    drilled: Sequence[Drilled] | None = None
    inputs: Sequence[Input] = ()
    missing: Sequence[str] = ()


def build(of: Collected) -> Signoff:
    """The report of what is there."""
    moves = moves_of(of.audited, of.switch)
    states = moves.states
    began = states[0][0].at if states else None
    completion = _completion(of.state)
    completed = completion is not None and completion.phase == "completed"
    horizon = _horizon(of)
    end = min(horizon, completion.since) if completed and completion is not None else horizon
    begin = min(began, end) if began is not None else end
    attempts = attempts_of(moves, of.minutes, of.steps, of.titles, of.window_s, end)
    pauses = pauses_of(moves)
    minutes = whole_within(of.minutes, begin, end, of.window_s)
    totals = totals_of(minutes, windows_of(minutes, begin, end, of.window_s))
    gaps = gaps_of(minutes, begin, end, of.window_s) if minutes else []
    outages = [one for one in of.outages or () if began is not None and (one.ended or of.made_at) >= began]
    incidents = incidents_of(moves, pauses, gaps, outages, attempts)
    asked = {name for step in of.steps.values() for name in step.drills}
    buckets, bucket_s = buckets_of(minutes, begin, end, of.window_s)
    return Signoff(
        version=of.version, made_at=of.made_at, target=of.target, flag=of.switch.flag, began_at=began, completed=completed,
        stage=of.state.stage if of.state is not None else None,
        phase=of.state.phase if of.state is not None else None,
        since=of.state.since if of.state is not None else None,
        completion=completion,
        inputs=[_audit(of.audited), _evidence(of.minutes), *of.inputs],
        missing=[*of.missing, *_missing(of, moves, gaps)],
        timeline=timeline_of(moves),
        stages=attempts,
        totals=totals,
        incidents=incidents,
        lessons=lessons_of(
            attempts=attempts, pauses=pauses, incidents=incidents, totals=totals, drilled=of.drilled or (), asked=asked,
            completion=completion, window_s=of.window_s,
        ),
        irrevocable=list(IRREVOCABLE) if completed else [],
        way_back=WAY_BACK if completed else None,
        to_delete=list(TO_DELETE) if completed else [],
        series=Series(
            shares=points_of(moves), buckets=buckets if minutes else [], bucket_s=bucket_s, bounds=_bounds(of.steps)
        ),
    )  # fmt: skip


def _horizon(of: Collected) -> datetime:
    """To where windows can be missing: those that have just ended are awaited, unless they are there."""
    awaited = of.made_at - timedelta(seconds=AWAITED_WINDOWS * of.window_s)
    if not of.minutes:
        return awaited
    newest = of.minutes[-1].started_at + timedelta(seconds=of.window_s)
    return min(max(awaited, newest), of.made_at)


def digest(lines: Sequence[bytes]) -> str:
    """Of lines, each with its end."""
    found = hashlib.sha256()
    for line in lines:
        found.update(line + b"\n")
    return found.hexdigest()


def _audit(audited: Sequence[Audited]) -> Input:
    lines = [msgspec.json.encode(one, order="sorted") for one in audited]
    return Input(
        name="audit",
        count=len(lines),
        first=_at(audited, 0),
        last=_at(audited, -1),
        sha256=digest(lines) if lines else None,
    )


def _at(audited: Sequence[Audited], place: int) -> datetime | None:
    try:
        return msgspec.convert(audited[place].at, datetime) if audited else None
    except msgspec.ValidationError:
        return None


def _evidence(minutes: Sequence[Minute]) -> Input:
    joined = "\n".join(minute.sha256 for minute in minutes).encode()
    return Input(
        name="evidence", count=len(minutes), first=minutes[0].started_at if minutes else None,
        last=minutes[-1].started_at if minutes else None, sha256=hashlib.sha256(joined).hexdigest() if minutes else None,
    )  # fmt: skip


def _completion(state: State | None) -> Completion | None:
    if state is None or state.completing is None:
        return None
    of = state.completing
    return Completion(
        phase=of.phase, since=of.since, forced=of.forced, accepted_lost=of.accepted_lost, reason=of.reason
    )


def _missing(of: Collected, moves: Moves, gaps: Sequence[Gap]) -> list[str]:
    found = [f"an entry of the audit can't be read: {what}" for what in moves.unread]
    states = moves.states
    if not states:
        found.append("the audit has no move of this rollout: when it began, and by whom, is not known")
    elif states[0][0].before is not None:
        found.append(
            f"the audit begins in the middle of the rollout: nothing is known from before {states[0][0].at:%Y-%m-%d %H:%M} UTC"
        )
    if not of.minutes:
        found.append("the record has no window of evidence: nothing is proven of what users had")
    if len(gaps) > MOST_GAPS:
        shorter = sorted((gap.windows for gap in gaps), reverse=True)[MOST_GAPS:]
        found.append(
            f"{len(shorter)} more runs of windows without evidence, {sum(shorter)} windows: only the longest are incidents here"
        )
    if of.outages is None:
        found.append(
            "outages of sources: this state folder has no outages.ndjson; a tap that ran elsewhere has its own"
        )
    if of.drilled is None:
        found.append("drills: this state folder has no drills.ndjson")
    return [*found, BREAKERS]


def _bounds(steps: Mapping[str, Step]) -> dict[str, float]:
    """The strictest of each, of the gates that decide."""
    found: dict[str, float] = {}
    for step in steps.values():
        for gate in step.gates:
            if not gate.dry_run:
                strictest = max if gate.name.startswith("min_") else min
                found[gate.name] = strictest(found.get(gate.name, gate.bound), gate.bound)
    return found
