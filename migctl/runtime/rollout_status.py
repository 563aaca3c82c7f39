"""What `migctl rollout status` and `plan` say: asked of the record, of Redis and the disk where it is away, and of each process."""

from __future__ import annotations

from datetime import datetime

from migctl import clock
from migctl.events.times import parse_time
from migctl.flags.record import Rollout
from migctl.flags.shares import ALL
from migctl.rollout import report, standing
from migctl.rollout import steps as pure
from migctl.rollout.report import EvidenceView, ProcessView, RolloutStatus, Walker
from migctl.runtime import probing
from migctl.runtime.flags import TRANSPORT
from migctl.runtime.rollout import Control
from migctl.runtime.rollout_known import Standing
from migctl.runtime.rollout_moves import gates_of

# The record of a project far away may take its time; then the next best is shown.
WITHIN_S = 3.0


async def status_of(at: Control) -> RolloutStatus:
    """All that is known now. Raises Usage where a stage's file is wrong."""
    of = await at.read(within_s=WITHIN_S, processes=False)
    known = of.basis.processes if of.basis is not None else of.known
    probed = await probing.probe(at.settings.state, known, at.token, within_s=1.0)
    now, state = clock.now(), of.state
    step = at.steps[pure.index_of(state.stage, at.steps)] if state is not None else None
    gates = await gates_of(at, of)
    walker = _walker(of.rollout, now)
    awaited = standing.awaited(state, step, gates, now, walked=walker is not None)
    processes = [_process(one, of) for one in probed]
    failure = of.away or of.unreadable
    away, away_do = (failure.what, failure.do) if failure is not None else (None, None)
    effective, percent, tier = of.effective, None, of.tier
    if of.basis is not None or of.snapshot.rows:
        percent = effective.percent if effective is not None else None
    elif shares := [one for each in probed if (one := each.shares) is not None]:
        # Nothing is known here: what the processes say themselves.
        effective, tier = max(shares, key=lambda one: one.of(ALL)), "process"
        percent = effective.percent
    views = gates.gates if gates is not None else []
    return RolloutStatus(
        target=at.where,
        flag=TRANSPORT.flag,
        variants=[TRANSPORT.otherwise, TRANSPORT.opened],
        at=now,
        tier=tier,
        away=away,
        away_do=away_do,
        n=of.snapshot.n,
        disabled=of.disabled,
        stage=state.stage if state is not None else None,
        title=at.stage(state.stage).title if state is not None else None,
        percent=percent,
        written=report.shares_view(of.written) if tier != "process" else None,
        effective=report.shares_view(effective),
        state=awaited,
        passed=list(state.passed) if state is not None else [],
        walker=walker,
        gates=views,
        evidence=None
        if gates is None
        else EvidenceView(
            verdict=gates.verdict,
            gathered=gates.gathered,
            needed=gates.needed,
            age_s=gates.age_s,
            wanting=gates.wanting,
        ),
        brakes=of.brakes,
        own=list(of.own),
        processes=processes,
        problems=report.problems(
            away=away,
            away_do=away_do,
            disabled=of.disabled,
            state=awaited,
            gates=views,
            brakes=of.brakes,
            own=of.own,
            processes=processes,
        ),
    )


def _process(one: probing.Probed, of: Standing) -> ProcessView:
    why = probing.why_not(one, of.snapshot)
    n = one.flags.n if one.flags is not None else None
    return ProcessView(id=one.id, name=one.name, url=one.url, n=n, agrees=why is None, why=why)


def _walker(rollout: Rollout | None, now: datetime) -> Walker | None:
    """Who holds the lease, by our clock: the database's decides, and is not asked for a look."""
    if rollout is None or rollout.holder is None or rollout.expires_at is None:
        return None
    until = parse_time(rollout.expires_at)
    return Walker(holder=rollout.holder, until=until) if until > now else None
