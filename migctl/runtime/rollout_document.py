"""Document of a move of the rollout, `migctl.rollout.change/1`: what it would do or did, and what of it is wanting. Pure."""

from __future__ import annotations

import msgspec

from migctl.runtime.handing import Handed
from migctl.runtime.rollout_wish import Effect, Proposed

SCHEMA = "migctl.rollout.change/1"


def wanting(of: Effect) -> tuple[str, str] | None:
    """Why the command ends with 1, and what to do; None where all is well."""
    handed = of.done.handed if of.done is not None else None
    if handed is None:
        return None
    what = f"{of.proposed.command} on {of.proposed.where}"
    is_down = of.done is not None and of.done.brake is not None
    if handed.unconfirmed:
        names = "; ".join(f"{one.name} ({one.why})" for one in handed.unconfirmed)
        gone = "one that was killed for good: `migctl flags processes --forget NAME --reason WHY`"
        do = f"see to each of them; what is reached hands it on; {gone}"
        if is_down and not handed.is_kept:
            do = f"see to each of them, and give the command again: nobody has it but this folder; {gone}"
        return f"{what}: not confirmed within a second by {names}", do
    if is_down and not handed.is_kept:
        return (
            f"{what}: no process is known here, and the record can't be reached: nobody has it but this folder",
            "run it in the state folder of a serve (MIGCTL_STATE_DIR), or again once the record is back",
        )
    return None


def document(of: Effect) -> dict[str, object]:
    """As JSON."""
    what, done = of.proposed, of.done
    handed = done.handed if done is not None else None
    found = {
        **_head(what),
        "dry_run": done is None,
        "changed": done is not None and bool(done.brake or done.written or done.handed is None),
        "n": done.written.row.n if done is not None and done.written is not None else None,
        "brake": msgspec.to_builtins(done.brake) if done is not None else None,
        "lifted": list(done.written.lifted) if done is not None and done.written is not None else [],
        "state": None,
        "state_unmoved": done.unmoved if done is not None else None,
    }
    if done is not None and done.state is not None:
        state = done.state
        found["state"] = {
            "stage": state.stage,
            "phase": state.phase,
            "paused": state.paused,
            "reason": state.reason,
        }
    return {**found, **_handed(handed)}


def refused(of: Proposed, why: str) -> dict[str, object]:
    """As JSON, where nothing was done."""
    return {**_head(of), "dry_run": False, "changed": False, "refused": why}


def _head(of: Proposed) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "command": of.command,
        "target": of.where,
        "flag": "transport",
        "direction": of.direction,
        "split": of.split,
        "percent": {"before": of.before, "after": of.after},
        "stage": {"before": of.stage_before, "after": of.stage},
        "brakes": msgspec.to_builtins(list(of.brakes)),
        "gates": msgspec.to_builtins(of.gated),
        "wanting": list(of.wanting),
    }


def _handed(of: Handed | None) -> dict[str, object]:
    if of is None:
        return {"processes": None}
    return {
        "processes": {
            "known": len(of.confirmed) + len(of.unconfirmed),
            "confirmed": [{"id": one.id, "name": one.name, "n": one.n} for one in of.confirmed],
            "unconfirmed": [{"id": one.id, "name": one.name, "why": one.why} for one in of.unconfirmed],
            "took_s": of.took_s,
        },
        "record": None if of.record is None else {"has": of.record.has, "why": of.record.why},
        "redis": None if of.redis is None else {"has": of.redis.has, "why": of.redis.why},
    }
