"""Completing: may the WebSocket be switched off now, and who holds it back. Pure.

| `complete` in | it looks at | then |
|---|---|---|
| not begun | the last stage was judged `pass`, or a person forces it with a reason | rampdown; refused otherwise |
| rampdown | `rampdown_minutes` since it began | draining; until then it waits |
| draining | nobody holds it back, or `--accept-lost N` covers them and each process answered | completed; until then refused |
| completed | - | nothing is left to do |

Who holds it back:

| seen | holds |
|---|---|
| a WebSocket subscriber that is connected, also one piped to the old service | yes, whatever `drain_minutes` is |
| one that left, last seen within `drain_minutes`, or in a future that a clock made up | yes |
| one that left before that | no |
| a standby socket, the witness | no |
| a process that did not answer | yes: it may have subscribers, and nobody can say how many |
| a process whose memory of who left begins within `drain_minutes` | yes: somebody may have left before |
| a process that runs in mode websocket | yes: what it takes would reach nobody |

`--accept-lost N` gives up at most N subscribers. It covers no process: what cannot be counted cannot be accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from migctl.status.clients import ClientStatus

Completion = Literal["rampdown", "draining", "completed"]


class Completing(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is. since: of the phase. forced: why it began though the last stage was not judged `pass`.

    accepted_lost: subscribers that were given up, and why.
    """

    phase: Completion
    since: datetime
    forced: str | None = None
    accepted_lost: int = 0
    reason: str | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A process that was asked. remembers_from: whoever left since then is among its clients; None where it did not answer."""

    process: str
    remembers_from: datetime | None
    clients: tuple[ClientStatus, ...] = ()
    mode: Literal["websocket", "realtime", "dual"] = "dual"


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds it back. silent: processes that did not answer; short: those whose memory does not reach back far enough.

    alone: those that have nothing but the WebSocket.
    """

    clients: tuple[ClientStatus, ...] = ()
    silent: tuple[str, ...] = ()
    short: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()

    def covered(self, accept_lost: int) -> bool:
        """Nobody holds it back but subscribers, and no more of them than are given up."""
        return not (self.silent or self.short or self.alone) and len(self.clients) <= accept_lost


class Go(msgspec.Struct, frozen=True):
    """Write this phase to the record, at the version that was read."""

    to: Completion


class Hold(msgspec.Struct, frozen=True):
    """Not yet. left_s: how long at least, where time alone does it."""

    reason: str
    left_s: float | None = None


class Nothing(msgspec.Struct, frozen=True):
    """It is completed."""


def holding(asked: Sequence[Asked], drain_minutes: float, now: datetime) -> Holding:
    """Who of those that were asked holds the switch back."""
    oldest = now - timedelta(minutes=drain_minutes)
    return Holding(
        clients=tuple(one for process in asked for one in process.clients if _holds(one, oldest)),
        silent=tuple(one.process for one in asked if one.remembers_from is None),
        short=tuple(
            one.process for one in asked if one.remembers_from is not None and one.remembers_from > oldest
        ),
        alone=tuple(one.process for one in asked if one.mode == "websocket"),
    )


def begin(*, last_passed: bool, forced: bool) -> Go | Hold:
    """From not begun. last_passed: the last stage was judged `pass`. forced: by a person, with a reason."""
    if last_passed or forced:
        return Go("rampdown")
    return Hold("the last stage was not judged pass")


def advance(
    phase: Completion,
    since: datetime,
    rampdown_minutes: float,
    held: Holding,
    now: datetime,
    accept_lost: int = 0,
) -> Go | Hold | Nothing:
    """The one thing to do next. since: of the phase."""
    if phase == "completed":
        return Nothing()
    if phase == "rampdown":
        left_s = (since + timedelta(minutes=rampdown_minutes) - now).total_seconds()
        return (
            Go("draining")
            if left_s <= 0
            else Hold("the WebSocket is still fed, and may be gone back to", left_s)
        )
    return Go("completed") if held.covered(accept_lost) else Hold(_words(held))


def _holds(client: ClientStatus, oldest: datetime) -> bool:
    if client.transport != "websocket" or client.witness:
        return False
    return client.connected or client.last_seen > oldest


def _words(held: Holding) -> str:
    reasons = []
    if held.clients:
        connected = sum(one.connected for one in held.clients)
        reasons.append(
            f"WebSocket subscribers: {connected} connected, {len(held.clients) - connected} seen lately"
        )
    if held.silent:
        reasons.append(f"no answer from {', '.join(held.silent)}, which may have subscribers")
    if held.short:
        reasons.append(f"{', '.join(held.short)} cannot say yet who left lately")
    if held.alone:
        reasons.append(
            f"{', '.join(held.alone)} runs in mode websocket: what it takes reaches nobody elsewhere"
        )
    return "; ".join(reasons)
