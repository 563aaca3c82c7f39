"""Report: the document of `migctl rollout status`, and what in it is wrong. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from migctl.flags.shares import Shares
from migctl.flags.snapshot import Brake
from migctl.rollout.judgement import GateView
from migctl.rollout.standing import Awaited
from migctl.rollout.walk import Phase

# In these nothing goes on by itself, so that whoever watches is told.
SETTLED: tuple[Phase | None, ...] = (None, "paused", "aborted", "done")


class SharesView(msgspec.Struct, frozen=True, kw_only=True):
    """Percentages. users: how many are assigned to Realtime by name."""

    percent: float
    segments: Mapping[str, float]
    users: int


class ProcessView(msgspec.Struct, frozen=True, kw_only=True):
    """A known process. n: of the flag set that it uses; None where it did not say. why: where it does not agree."""

    id: str
    name: str
    url: str | None
    n: int | None
    agrees: bool
    why: str | None


class EvidenceView(msgspec.Struct, frozen=True, kw_only=True):
    """Minutes of the witness. verdict: of all gates. age_s: since the newest began; wanting: why nothing is promoted by it."""

    verdict: str
    gathered: int = msgspec.field(name="seen")
    needed: int
    age_s: float | None
    wanting: list[str]


class Walker(msgspec.Struct, frozen=True, kw_only=True):
    """Who walks: `migctl rollout run`. until: its lease."""

    holder: str
    until: datetime


class RolloutStatus(msgspec.Struct, frozen=True, kw_only=True):
    """percent: of everybody who is in no segment, in force. written, effective: the shares, and what brakes leave of them.

    tier: where that is from: record, redis, disk or process; away: why the record did not say it, and away_do the way out.
    stage: null before the first.
    gates: of the stage; before the first what those of the first would say. brakes: those that hold less than is written.
    own: brakes of commands in this folder that nobody confirmed yet. problems: what is wrong; empty where all is well.
    """

    schema: Literal["migctl.rollout.status/1"] = "migctl.rollout.status/1"
    target: str
    flag: str
    variants: list[str]
    at: datetime
    tier: str
    away: str | None
    away_do: str | None
    n: int
    disabled: bool
    stage: str | None
    title: str | None
    percent: float | None
    written: SharesView | None
    effective: SharesView | None
    state: Awaited
    passed: list[str]
    walker: Walker | None
    gates: list[GateView]
    evidence: EvidenceView | None
    brakes: list[Brake]
    own: list[Brake]
    processes: list[ProcessView]
    problems: list[str]


def shares_view(shares: Shares | None) -> SharesView | None:
    """As the document has it."""
    if shares is None:
        return None
    users = sum(variant == shares.opened for variant in shares.users.values())
    return SharesView(percent=shares.percent, segments=dict(shares.segments), users=users)


def problems(
    *,
    away: str | None,
    away_do: str | None,
    disabled: bool,
    state: Awaited,
    gates: Sequence[GateView],
    brakes: Sequence[Brake],
    own: Sequence[Brake],
    processes: Sequence[ProcessView],
) -> list[str]:
    """What is wrong, in words, the most serious first.

    | wrong                                                            | not wrong                               |
    |------------------------------------------------------------------|------------------------------------------|
    | aborted, paused by a gate, by no data, a brake or the marker     | a person's pause; waiting for evidence   |
    | a gate that decides and fails, once there is a stage             | a dry run that fails; inconclusive gates |
    | a brake that holds less than is written, or that nobody confirmed | a brake at the written share             |
    | a known process that does not agree                              | none known                               |
    | the record away; the flag disabled                               |                                          |
    """
    found = []
    if state.phase == "aborted":
        found.append(f"aborted: {state.reason or 'no reason'}")
    elif state.phase == "paused" and state.paused_by != "person":
        found.append(f"paused: {state.reason or 'no reason'}")
    if disabled:
        found.append("the flag is disabled: nobody gets Realtime")
    failing = [gate for gate in gates if gate.verdict == "fail" and not gate.dry_run]
    if state.phase is not None:
        found += [f"gate {gate.name} fails: {gate.value:g}, bound {gate.bound:g}" for gate in failing]
    found += [f"a brake is in force: {of.split} at most {of.max_percent:g} % ({of.id})" for of in brakes]
    found += [f"nobody confirmed brake {of.id}: {of.split} at most {of.max_percent:g} %" for of in own]
    if away is not None:
        found.append(f"the record is away: {away}" + (f"; {away_do}" if away_do else ""))
    found += [f"process {one.name}: {one.why}" for one in processes if not one.agrees]
    return found
