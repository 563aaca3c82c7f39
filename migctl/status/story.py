"""The story of one event: where it has been, when, and what became of it. Times are known to within a few milliseconds."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from migctl.events.times import Moment

StoryPart = Literal["producer", "journal", "websocket", "realtime", "table", "dead letter"]
# done: it is through. waiting: not yet. failed: it was refused, or is in nobody's reach any more. unknown: nobody here knows.
StepState = Literal["done", "waiting", "failed", "unknown"]
# delivered: a row, or a tombstone with its text. lost: neither journal nor table has it. unknown: never heard of here.
Fate = Literal["under way", "delivered", "dead letter", "duplicate", "lost", "rejected", "unknown"]


class Step(Struct, frozen=True, kw_only=True):
    """at: None where it has not happened, or nobody remembers when."""

    part: StoryPart
    state: StepState
    at: Moment | None = None
    reason: str


class EventStory(Struct, frozen=True, kw_only=True):
    """id: canonical; source_id: as its producer wrote it, where that is another. epoch, seq: None where it never had a position.

    data: its JSON text, cut after 64 KiB; None where the journal no longer has it.
    """

    schema: Literal["migctl.story/1"] = "migctl.story/1"
    id: str | None
    source_id: str | None = None
    epoch: str | None = None
    seq: int | None = None
    event_type: str | None = None
    source: str | None = None
    timestamp: Moment | None = None
    fate: Fate
    reason: str
    steps: list[Step]
    data: str | None = None
