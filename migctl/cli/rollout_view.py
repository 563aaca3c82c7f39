"""How a move of the rollout looks: what it would do, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migctl.rollout.judgement import GateView
    from migctl.rollout.standing import Gated
    from migctl.runtime.handing import Handed
    from migctl.runtime.rollout_wish import Effect, Proposed


def share(percent: float | None) -> str:
    return "?" if percent is None else f"{percent:g} %"


def before(of: Proposed) -> Iterator[str]:
    """What it would do, before anybody is asked."""
    from migctl.flags.authoring import in_words

    yield f"{of.command}\n  on {of.where}"
    if of.after is not None and (of.direction != "same" or of.before != of.after):
        was = f"{share(of.before)} -> " if of.before is not None else "at most "
        yield f"  {of.split}: {was}{share(of.after)} on Realtime"
    if of.stage is not None and of.stage != of.stage_before:
        yield f"  stage: {of.stage_before or 'none'} -> {of.stage}"
    if of.asks:
        yield from gate_lines(of.gated)
    if of.command == "promote":
        for why in of.wanting:
            yield f"  wanting: {why}"
    for brake in of.brakes if of.asks else ():
        yield f"  it ends {in_words(brake)}"


def gate_lines(of: Gated | None) -> Iterator[str]:
    """A line for each gate, with its evidence by digest."""
    if of is None:
        yield "  gates: the evidence can't be read"
        return
    yield f"  gates: {of.verdict}, {of.gathered:,} of {of.needed:,} minutes of evidence"
    for gate in of.gates:
        yield f"    {gate_words(gate)}"


def gate_words(gate: GateView) -> str:
    """`min_match_percent 99.9: pass, 100 of 1,440 events; sha256 ab12cd34ef56`."""
    value = "no value" if gate.value is None else f"{gate.value:g}"
    words = f"{gate.name} {gate.bound:g}: {gate.verdict}{' (dry run)' if gate.dry_run else ''}, {value}, {gate.samples:,} events"
    if gate.missing is not None:
        words += f"; missing: {gate.missing}"
    if gate.sha256 is not None:
        words += f"; {gate.evidence:,} min, sha256 {gate.sha256[:12]}"
    return words


def after(of: Effect) -> Iterator[str]:
    """What became of it."""
    what, done = of.proposed, of.done
    where = f"on {what.where}"
    if done is None:
        yield f"{what.command} {where}: dry run, nothing was changed"
        return
    if what.direction == "same" and done.written is None and what.after is not None:
        if what.after == what.before:
            yield f"{what.command} {where}: it is {share(what.before)} already; nothing was written"
        else:
            yield f"{what.command} {where}: {share(what.before)} is not above {share(what.after)}; nothing was written"
    if done.handed is not None:
        yield f"{what.command} {where}: {_confirmed(done.handed)}"
        yield from _stores(done.handed)
    if done.brake is not None:
        yield f"brake {done.brake.id}: {done.brake.split} at most {done.brake.max_percent:g} %"
    if done.written is not None:
        yield f"written to the record as n {done.written.row.n}"
        for brake_id in done.written.lifted:
            yield f"ended brake {brake_id}"
    if done.state is not None:
        why = f" by {done.state.paused}" if done.state.paused else ""
        yield f"the rollout {where} stands at {done.state.stage}, {done.state.phase}{why}"
    if done.unmoved is not None:
        yield f"the rollout's state was not moved: {done.unmoved}"


def _confirmed(of: Handed) -> str:
    count, known = len(of.confirmed), len(of.confirmed) + len(of.unconfirmed)
    if not known:
        kept = of.record is not None and of.record.has
        return "no process is known" + ("; one that starts reads it from the record" if kept else "")
    noun = "process" if known == 1 else "processes"
    return f"{count} of {known} {noun} confirmed within {max(of.took_s, 0.01):.2f} s"


def _stores(of: Handed) -> Iterator[str]:
    for name, store in (("the record", of.record), ("Redis", of.redis)):
        if store is not None and not store.has:
            yield f"{name} does not have it yet: {store.why}"
