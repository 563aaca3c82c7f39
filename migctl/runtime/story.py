"""Stories: what became of one event, from what each part of this `serve` remembers, the journal, and the target read back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from migctl.errors import MigctlError
from migctl.events import Entry, Position
from migctl.events.ids import canonical_id
from migctl.ingest.rejected import find
from migctl.journal import DeadLetter, EpochInfo
from migctl.runtime.parts import Parts
from migctl.server.counts import Rejection
from migctl.status.story import EventStory, Fate, Step, StoryPart
from migctl.status.words import wait
from migctl.target.places import Place, Places
from migctl.telemetry.trail import Trail

MOST_DATA_CHARS = 64 << 10

_REALTIME = {
    "hint": "broadcast as a hint",
    "superseded": "not sent: it was left to the table, from which subscribers fetch it",
    "row": "carried by the table's publication",
}
_TOMBSTONES = {
    "duplicate_of": "a tombstone: its id was delivered before, under another position",
    "conflict": "a tombstone, from which it is delivered: a row has its id and another body",
    "poison": "a tombstone, from which it is delivered: the table refuses its row",
}


class Stories:
    """Of one `serve`. places: None in mode websocket. rejected: the file of what sources brought and did not fit."""

    def __init__(self, parts: Parts, places: Places | None, rejected: Path) -> None:
        self._parts = parts
        self._places = places
        self._rejected = rejected

    async def of_id(self, text: str, rejections: Iterable[Rejection]) -> EventStory:
        """text: as the producer wrote it, or the canonical id. rejections: what was posted here of late and refused.

        Raises ValueError for what can be no id.
        """
        event_id, source_id = canonical_id(text)
        entry = await self._parts.journal.get(event_id)
        places, away = await self._read_back(event_id, None)
        if entry is not None:
            return await self._of_entry(entry, places, away, source_id)
        if places:
            return of_table(event_id, source_id, places)
        for one in rejections:
            if one.id in (text, event_id):
                step = Step(part="producer", state="failed", at=one.at, reason=f"{one.code}: {one.reason}")
                return _nowhere("rejected", step.reason, [step], event_id, source_id)
        kept = await asyncio.to_thread(find, self._rejected, text)
        if kept is not None:
            step = Step(part="producer", state="failed", at=kept[0], reason=kept[1])
            return _nowhere("rejected", f"{kept[1]}; see rejected.ndjson", [step], event_id, source_id)
        unread = f"; the table can't be read: {away}" if away else ""
        why = f"no event of this id is in the journal or the table, and none was refused of late{unread}"
        return _nowhere("unknown", why, [], event_id, source_id)

    async def at(self, position: Position) -> EventStory:
        journal = self._parts.journal
        entries = await journal.read(position.seq - 1, epoch=position.epoch, limit=1)
        if entries and entries[0].seq == position.seq:
            places, away = await self._read_back(entries[0].event.id, None)
            return await self._of_entry(entries[0], places, away, None)
        epochs = await journal.epochs()
        places, away = await self._read_back(None, position)
        if places:
            return of_table(places[0].id, None, places)
        lost = _lost(position, epochs)
        if lost is not None:
            return _nowhere("lost", lost, [], None, None, position)
        unread = f"; the table can't be read: {away}" if away else ""
        return _nowhere(
            "unknown", f"neither journal nor table has this position{unread}", [], None, None, position
        )

    async def _read_back(
        self, event_id: str | None, position: Position | None
    ) -> tuple[list[Place], str | None]:
        """What the target has now, and why it can't be read."""
        if self._places is None:
            return [], None
        try:
            if event_id is not None:
                return await self._places.of_id(event_id), None
            assert position is not None
            return await self._places.at(position), None
        except MigctlError as error:
            return [], error.what

    async def _of_entry(
        self, entry: Entry, places: Sequence[Place], away: str | None, source_id: str | None
    ) -> EventStory:
        letters = await self._parts.journal.dead_letters(limit=-1)
        letter = next((one for one in letters if one.position == entry.position), None)
        steps = [
            Step(part="producer", state="done", at=entry.event.timestamp, reason=f"happened at {entry.event.source}"),
            Step(part="journal", state="done", at=entry.committed_at, reason="accepted: durable, and acknowledged after that"),
            *self._carried(entry),
        ]  # fmt: skip
        table = self._table(entry, places, away)
        if table is not None:
            steps.append(table)
        if letter is not None:
            steps.append(_letter(letter))
        fate, why = _fate(table, places, entry, letter)
        event = entry.event
        text = event.data.decode("utf-8", "replace")
        return EventStory(
            id=event.id, source_id=source_id, epoch=entry.epoch, seq=entry.seq, event_type=event.event_type,
            source=event.source, timestamp=event.timestamp, fate=fate, reason=why, steps=steps,
            data=text if len(text) <= MOST_DATA_CHARS else text[:MOST_DATA_CHARS] + " ...",
        )  # fmt: skip

    def _carried(self, entry: Entry) -> Iterable[Step]:
        gateway, to_target = self._parts.gateway, self._parts.to_target
        if gateway is not None:
            mark = gateway.trail.of(entry.epoch, entry.seq)
            if mark is not None:
                whom = (
                    f"{mark.count:,} socket{'s' * (mark.count != 1)}"
                    if mark.count
                    else "nobody: none was attached"
                )
                yield Step(part="websocket", state="done", at=mark.at, reason=f"handed to {whom}")
            else:
                yield self._before("websocket", gateway.trail, entry)
        if to_target is not None:
            trail = to_target.broadcast.trail
            mark = trail.of(entry.epoch, entry.seq)
            if mark is not None:
                yield Step(part="realtime", state="done", at=mark.at, reason=_REALTIME[mark.how])
            else:
                yield self._before("realtime", trail, entry)

    def _before(self, part: StoryPart, trail: Trail, entry: Entry) -> Step:
        """No moment is known: it passed longer ago than is remembered, or by a serve before this one, or has not yet."""
        if trail.has(entry.epoch, entry.seq) or entry.epoch != self._parts.journal.epoch:
            return Step(part=part, state="unknown", reason="before what this serve remembers")
        return Step(part=part, state="waiting", reason="not sent yet")

    def _table(self, entry: Entry, places: Sequence[Place], away: str | None) -> Step | None:
        relay = self._parts.relay
        if relay is None:
            return None
        own = next((one for one in places if (one.epoch, one.seq) == (entry.epoch, entry.seq)), None)
        mark = relay.trail.of(entry.epoch, entry.seq)
        if own is not None:
            what = (
                "a row" if own.reason is None else _TOMBSTONES.get(own.reason, f"a tombstone: {own.reason}")
            )
            acknowledged = (
                f"; its batch was acknowledged {mark.at:%H:%M:%S.%f}"[:-3] if mark is not None else ""
            )
            return Step(
                part="table", state="done", at=own.created_at, reason=f"{what}, read back now{acknowledged}"
            )
        if relay.trail.has(entry.epoch, entry.seq):
            if away is not None:
                at = mark.at if mark is not None else None
                return Step(
                    part="table", state="done", at=at, reason=f"written; it can't be read back now: {away}"
                )
            return Step(
                part="table", state="failed", at=mark.at if mark is not None else None,
                reason="it was written, and is not there now: pruned, or the target went back in time",
            )  # fmt: skip
        status = relay.status()
        held = f": throttled: {status.throttled.reason}" if status.throttled is not None else ""
        held = held or (f": {status.reason}" if status.reason else "")
        return Step(part="table", state="waiting", reason=f"{wait(status.backlog)}{held}")


def _letter(of: DeadLetter) -> Step:
    if of.outcome is None:
        return Step(
            part="dead letter", state="failed", at=of.at,
            reason=f"waits for a person: {of.code}: {of.reason}; `migctl deadletter list`",
        )  # fmt: skip
    new = f" as {of.new_id}" if of.new_id is not None else ""
    if of.outcome == "dismissed":
        new = f" by {of.settled_by}: {of.why}; its tombstone stays"
    return Step(
        part="dead letter",
        state="done",
        at=of.settled_at,
        reason=f"{of.outcome}{new}; it was {of.code}: {of.reason}",
    )


def _fate(
    table: Step | None, places: Sequence[Place], entry: Entry, letter: DeadLetter | None
) -> tuple[Fate, str]:
    own = next((one for one in places if (one.epoch, one.seq) == (entry.epoch, entry.seq)), None)
    if letter is not None and letter.outcome is None:
        return "dead letter", "the table refuses its row; it is delivered from its tombstone"
    if own is not None and own.reason == "duplicate_of":
        return "duplicate", "its id was delivered before"
    if table is None:
        return "delivered", "durable; this mode has no table"
    if table.state == "done":
        return "delivered", "a row" if own is None or own.reason is None else "a tombstone with its text"
    if table.state == "failed":
        return "lost", table.reason
    return "under way", f"the table does not have it yet: {table.reason}"


def of_table(event_id: str, source_id: str | None, places: Sequence[Place]) -> EventStory:
    """One that the journal no longer holds, or that was there before it."""
    first = places[0]
    what = "a row" if first.reason is None else _TOMBSTONES.get(first.reason, f"a tombstone: {first.reason}")
    return EventStory(
        id=event_id, source_id=source_id, epoch=first.epoch, seq=first.seq,
        fate="duplicate" if first.reason == "duplicate_of" else "delivered",
        reason=f"{what}; the journal no longer holds it",
        steps=[
            Step(part="journal", state="unknown", reason="no longer held: retention, or another journal"),
            *(
                Step(
                    part="table", state="done", at=one.created_at,
                    reason=("a row" if one.reason is None else _TOMBSTONES.get(one.reason, one.reason)) + ", read back now",
                )
                for one in places
            ),
        ],
    )  # fmt: skip


def _nowhere(
    fate: Fate, reason: str, steps: list[Step], event_id: str | None, source_id: str | None,
    position: Position | None = None,
) -> EventStory:  # fmt: skip
    return EventStory(
        id=event_id, source_id=source_id, fate=fate, reason=reason, steps=steps,
        epoch=position.epoch if position is not None else None, seq=position.seq if position is not None else None,
    )  # fmt: skip


def _lost(position: Position, epochs: Sequence[EpochInfo]) -> str | None:
    for one in epochs:
        if one.prev_epoch == position.epoch and one.lost is not None:
            first, last = one.lost
            if first <= position.seq <= last:
                when = f"{one.started_at:%Y-%m-%d %H:%M:%S} UTC"
                return (
                    f"seq {first} to {last} are nowhere any more: {one.reason or 'a new epoch began'}, {when}"
                )
    return None
