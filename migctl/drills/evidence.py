"""What a deployment left on disk and in its table, once everything has ended: read for `judging`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from migctl.drills.judging import Committed, Heard, Line, Place, Truth
from migctl.drills.world.deployment import Deployment, Subscriber
from migctl.drills.world.legacy import LegacyLine
from migctl.drills.world.producer import Acknowledged
from migctl.runtime.journals import read_file
from migctl.target.schema import EVENTS, TOMBSTONES

T = TypeVar("T")


def lines_of(path: Path, kind: type[T]) -> Iterator[T]:
    """Each whole line of an NDJSON file; a torn last line is none, and no file has none."""
    decode = msgspec.json.Decoder(kind).decode
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield decode(line)


def legacy_by(subscriber: Subscriber, truth: Truth, away: Sequence[tuple[float, float]] = ()) -> Heard:
    """A client of the old protocol, by the events that it knows by their data. It wants what was committed since its first."""
    by_id = {event.id: event for event in truth.journal}
    lines = []
    for line in lines_of(subscriber.path, LegacyLine):
        event = by_id.get(line.event)
        if event is not None:
            committed = datetime.fromtimestamp(event.at, UTC)
            received = datetime.fromtimestamp(line.received_at, UTC)
            lines.append(Line(event.id, *event.place, committed, received, "websocket", "live"))
    first = min(((line.epoch, line.seq - 1) for line in lines), default=("", 0))
    return Heard(subscriber.name, subscriber.kind, lines, first, True, away)


def heard_by(subscriber: Subscriber, away: Sequence[tuple[float, float]] = ()) -> Heard:
    """away: when it was stopped by us."""
    lines = list(lines_of(subscriber.path, Line))
    for line in lines:  # one text for all, too: a soak has millions of lines
        line.epoch = sys.intern(line.epoch)
    summary = subscriber.summary
    first = (lines[0].epoch, lines[0].seq - 1) if lines else ("", 0)
    began = summary.began if summary is not None else None
    return Heard(
        subscriber.name,
        subscriber.kind,
        lines,
        (began.epoch, began.seq) if began is not None else first,
        summary is not None and summary.complete and not summary.discontinuities,
        away,
    )


def acknowledged(on: Deployment) -> list[Acknowledged]:
    """What producers were answered is durable."""
    return list(lines_of(on.acknowledged, Acknowledged))


def truth_of(on: Deployment) -> Truth:
    """Journal, rows, tombstones, and what was acknowledged. Where serve's clock was stepped, producers time the commits."""
    answered = acknowledged(on)
    timed = {event_id: line.at for line in answered for event_id in line.ids} if on.clock is not None else {}
    journal = [
        Committed(
            (entry.epoch, entry.seq),
            entry.event.id,
            timed.get(entry.event.id) or entry.committed_at.timestamp(),
        )
        for entry in read_file(on.journal)
    ]
    ids = [event_id for line in answered for event_id in line.ids]
    retried = sum(line.tries > 1 for line in answered)
    return Truth(ids, journal, _places(on, EVENTS), _places(on, TOMBSTONES), retried)


def until(truth: Truth, last: Place) -> Truth:
    """Without what was committed after the end, by a stream that nobody ended; from the journal on, all of it is promised."""
    journal = [event for event in truth.journal if event.place <= last]
    ids = list(dict.fromkeys([*(event.id for event in journal), *truth.acknowledged]))
    return Truth(
        ids,
        journal,
        [row for row in truth.rows if row[0] <= last],
        [stone for stone in truth.tombstones if stone[0] <= last],
    )


def within(heard: Heard, last: Place) -> Heard:
    """Without what was committed after the end, which nobody has to have."""
    lines = [line for line in heard.lines if (line.epoch, line.seq) <= last]
    return Heard(heard.name, heard.kind, lines, heard.start, heard.complete, heard.away)


def _places(on: Deployment, table: str) -> list[tuple[Place, str]]:
    import psycopg
    from psycopg.sql import SQL, Identifier

    # In a project of the operator's own what others wrote is none of the drill's business.
    query = SQL(
        "SELECT epoch, seq, id FROM {} WHERE seq IS NOT NULL AND (%(ours)s::text[] IS NULL OR epoch = ANY (%(ours)s))"
    )
    with psycopg.connect(on.direct.need("database_url")) as connection:
        found = connection.execute(query.format(Identifier(on.schema, table)), {"ours": on.epochs})
        return [((str(epoch), seq), str(event_id)) for epoch, seq, event_id in found]


def everyone(on: Deployment, truth: Truth, away: Mapping[str, Sequence[tuple[float, float]]]) -> list[Heard]:
    """All subscribers. away: by name, when they were stopped by us."""
    found = [
        legacy_by(each, truth, away.get(name, ()))
        if each.kind == "legacy"
        else heard_by(each, away.get(name, ()))
        for name, each in on.subscribers.items()
    ]
    if on.clock is not None:
        timed = {one.id: datetime.fromtimestamp(one.at, UTC) for one in truth.journal}
        for heard in found:
            for line in heard.lines:
                line.committed_at = timed.get(line.id, line.committed_at)
    return found
