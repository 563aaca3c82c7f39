"""Health: what is wrong, by the status of a `serve`, in sentences for people. Pure.

Nothing wrong means that each part said it is well; a part that says nothing of its state is not taken for healthy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# A batch takes less, and a Realtime reader that waits longer has already repaired its gap from elsewhere.
OLDEST_WAITS_S = 5.0
WELL = ("running", "connected")


def problems(status: Mapping[str, Any]) -> list[str]:
    """Each `part: what is wrong`, the most serious first; none where all is well."""
    found: list[str] = []
    if status.get("draining"):
        found.append("serve: draining")
    full = (status.get("journal") or {}).get("full")
    if full:
        found.append(f"journal: takes no events: {full}")
    breakers = status.get("breakers") or {}
    for part, of in (status.get("connections") or {}).items():
        breaker = breakers.get(part) or {}
        if of.get("state") not in WELL or breaker.get("state", "closed") != "closed":
            found.append(_connection(part, of, breaker))
    relay = status.get("relay")
    waits_s = relay.get("oldest_waits_s") if relay else None
    if relay and waits_s is not None and waits_s > OLDEST_WAITS_S:
        found.append(f"relay: {relay['backlog']:,} events wait for the table, the oldest for {waits_s:.0f} s")
    for transport in (status.get("transports") or {}).values():
        upstream = transport.get("upstream")
        if upstream and upstream.get("reason"):
            found.append(f"old service: sockets can't be passed through: {upstream['reason']}")
    source = status.get("source")
    if source and not status.get("source_done"):
        if source.get("waiting_for"):
            found.append(f"source: waits for the journal: {source['waiting_for']}")
        elif source.get("state") in ("waiting", "connecting", "closed"):
            found.append(_state("source", source))
    return found


def health(status: Mapping[str, Any]) -> dict[str, Any]:
    """The key `health` of the status: ok or degraded, and why."""
    found = problems(status)
    return {"status": "degraded" if found else "ok", "problems": found}


def _connection(part: str, of: Mapping[str, Any], breaker: Mapping[str, Any]) -> str:
    """`part: state, breaker's state: why`; what to do is told beside it."""
    state = str(of.get("state") or "says nothing of its state")
    shut = breaker.get("state", "closed")
    if shut != "closed":
        state += f", breaker {str(shut).replace('_', '-')}"
    reason = of.get("reason") or breaker.get("reason")
    return f"{part}: {state}{f': {reason}' if reason else ''}"


def _state(name: str, part: Mapping[str, Any]) -> str:
    reason = part.get("reason")
    return f"{name}: {part.get('state') or 'says nothing of its state'}{f': {reason}' if reason else ''}"
