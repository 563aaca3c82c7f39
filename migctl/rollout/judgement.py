"""Judgement: what each gate says, and of which evidence, by its digest: as it is shown, and as the record keeps it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from migctl.rollout.gates import GateName, Judged, NoData, OnFailure, Outcome, Verdict
from migctl.validate.witness.minute import Minute


class GateView(msgspec.Struct, frozen=True, kw_only=True):
    """One gate. value: the worst minute's; samples: the fewest events at any transport or cohort; window: first and last minute.

    missing: what evidence it lacks, in words; missing_events: how many. beyond: minutes beyond the bound, of which failure_limit
    may be. evidence: how many minutes were judged; sha256: of their digests, in order.
    """

    name: GateName
    bound: float
    value: float | None
    verdict: Verdict
    samples: int
    min_events: int
    missing: str | None
    missing_events: int
    window: tuple[datetime, datetime] | None
    evidence: int
    sha256: str | None
    beyond: int
    failure_limit: int
    no_data: NoData
    on_failure: OnFailure
    dry_run: bool


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """By what a stage was judged, promoted, paused or taken back: in the very write that did so."""

    stage: str
    verdict: Verdict
    gates: tuple[GateView, ...]


def views(outcome: Outcome, minutes: Sequence[Minute]) -> list[GateView]:
    """Each gate as it is shown. minutes: those that were judged, or more of them."""
    digests = {minute.id: minute for minute in minutes}
    return [_view(one, [digests[name] for name in one.minutes]) for one in outcome.gates]


def judgement(stage: str, outcome: Outcome, minutes: Sequence[Minute]) -> Judgement:
    """minutes: as in `views`."""
    return Judgement(stage=stage, verdict=outcome.verdict, gates=tuple(views(outcome, minutes)))


def _view(one: Judged, judged: Sequence[Minute]) -> GateView:
    joined = "\n".join(minute.sha256 for minute in judged).encode()
    gate = one.gate
    return GateView(
        name=gate.name, bound=gate.bound, value=one.value, verdict=one.verdict, samples=one.samples, min_events=gate.min_events,
        missing=one.missing, missing_events=one.missing_events,
        window=(judged[0].started_at, judged[-1].started_at) if judged else None,
        evidence=len(judged), sha256=hashlib.sha256(joined).hexdigest() if judged else None,
        beyond=len(one.failed), failure_limit=gate.failure_limit,
        no_data=gate.no_data, on_failure=gate.on_failure, dry_run=gate.dry_run,
    )  # fmt: skip
