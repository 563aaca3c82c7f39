"""Probes: what `serve` says of itself, and how far subscribers are."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from migctl.drills.document import Section
from migctl.drills.functions.registry import Nothing, observing
from migctl.drills.world.around import Around
from migctl.drills.world.tail import last_seq


class OfSubscribers(Section):
    behind_events: Annotated[int, Field(ge=0, description="events that may still be on their way")] = 200


@observing("serve-answers", Nothing)
def serve_answers(on: Around, _: Nothing) -> bool:
    """Whether serve answers its status."""
    return on.status() is not None


@observing("breaker-state", Nothing)
def breaker_state(on: Around, _: Nothing) -> str | None:
    """The worst state of the breakers: closed, half_open or open; None while serve is away."""
    status = on.status()
    if status is None:
        return None
    states = {of.state for _, of in status.breakers.parts()}
    return next((state for state in ("open", "half_open", "closed") if state in states), None)


@observing("fallback-active", Nothing)
def fallback_active(on: Around, _: Nothing) -> bool | None:
    """Whether subscribers are sent to the WebSocket; None while serve is away, or has no fallback."""
    status = on.status()
    return status.fallback.active if status is not None and status.fallback is not None else None


@observing("table-behind", Nothing)
def table_behind(on: Around, _: Nothing) -> int | None:
    """Events that the table does not have yet; None while serve is away."""
    status = on.status()
    return status.relay.backlog if status is not None and status.relay is not None else None


@observing("subscribers-behind", OfSubscribers)
def subscribers_behind(on: Around, of: OfSubscribers) -> int | None:
    """How many subscribers lack more of the journal than `behind_events`; None while serve is away."""
    status = on.status()
    if status is None:
        return None
    head = status.journal.head
    wanted = [each for each in on.subscribers.values() if each.kind != "legacy"]
    return sum(head - last_seq(each.path) > of.behind_events for each in wanted)
