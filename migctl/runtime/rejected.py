"""Rejected lines from outside: read once more under the mapping of today, and put into the journal with ids of their own.

Through the running `serve` where there is one, which has the journal open; else in this process. What became of a line is written
down once its event is durable, so a retry that was cut off and comes again finds its events there, and adds none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from migctl.clock import now
from migctl.config import Settings
from migctl.errors import Transient
from migctl.events import BadEvent, Event, Position, encode_event
from migctl.events.jsontext import one_line
from migctl.ingest import Mapper
from migctl.ingest.rejections import Kept, Rejection, Settled, settle
from migctl.journal import Conflict
from migctl.runtime.dead_letters import Place
from migctl.runtime.journals import open_journal
from migctl.serve_client.control import reached
from migctl.serve_client.http import ServeHttp

BATCH_EVENTS = 500
BATCH_BYTES = 4 << 20
ANSWERS_WITHIN_S = 60.0

_NDJSON = {"Content-Type": "application/x-ndjson"}


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of one: an event at a position, no event by the mapping, or refused once more and why.

    result: `fits` is one that would be retried.
    """

    kept: Kept
    result: Literal["retried", "ignored", "refused", "fits"]
    reason: str | None = None
    event: Event | None = None
    position: Position | None = None


class _Wrong(Exception):
    """Nothing of a batch was stored, for these, by index, and why."""

    def __init__(self, reasons: Mapping[int, str]) -> None:
        super().__init__(reasons)
        self.reasons = reasons


Append = Callable[[Sequence[Event]], Awaitable[Sequence[Position]]]


def mapped(kept: Sequence[Kept], mapper: Mapper) -> list[Retried]:
    """What the mapping makes of each line now; nothing is stored."""
    return [_mapped(one, mapper) for one in kept]


def _mapped(one: Kept, mapper: Mapper) -> Retried:
    of = one.of
    if of.cut:
        return Retried(one, "refused", f"only {len(of.content):,} of its {of.size:,} bytes are kept")
    try:
        event = mapper.named(_named(of)).event(of.content, arrived=of.at, make_id=lambda: of.id)
    except BadEvent as error:
        return Retried(one, "refused", str(error))
    return Retried(one, "ignored") if event is None else Retried(one, "fits", event=event)


def _named(of: Rejection) -> str:
    """The source of its events, as it would have been without the rejection."""
    host = urlsplit(of.source).hostname if "://" in of.source else None
    return host or Path(of.source).name or of.source


async def retried(
    settings: Settings, place: Place, found: Sequence[Retried], *, notify: Callable[[str], None]
) -> AsyncIterator[Retried]:
    """Put what fits into the journal, in this order, and write down what became of it. May be repeated after any error.

    Raises Transient where the journal takes none now, and Refused where another process has it open.
    """
    async with _appending(settings, place, notify) as append:
        for batch in _batches(found):
            done = await _put(batch, append)
            settle(settings.state, [_mark(one) for one in done if one.result != "refused"])
            for one in done:
                yield one


def dismiss(settings: Settings, kept: Sequence[Kept], *, by: str, reason: str | None) -> None:
    """Write down that these need not go in, and who says so."""
    settle(
        settings.state,
        [Settled(id=one.of.id, at=now(), outcome="dismissed", by=by, reason=reason) for one in kept],
    )


def _mark(of: Retried) -> Settled:
    if of.event is None or of.position is None:
        return Settled(id=of.kept.of.id, at=now(), outcome="ignored")
    epoch, seq = of.position
    return Settled(
        id=of.kept.of.id, at=now(), outcome="retried",
        event_id=of.event.id, source_id=of.event.source_id, epoch=epoch, seq=seq,
    )  # fmt: skip


def _batches(found: Sequence[Retried]) -> Iterator[list[Retried]]:
    batch: list[Retried] = []
    size = 0
    for one in found:
        batch.append(one)
        size += one.kept.of.size
        if len(batch) >= BATCH_EVENTS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def _put(batch: Sequence[Retried], append: Append) -> list[Retried]:
    """One batch; what hinders it is left out of it, and the rest goes on."""
    refused: dict[int, str] = {}
    while True:
        left = [at for at, one in enumerate(batch) if one.event is not None and at not in refused]
        try:
            positions = (
                await append([event for at in left if (event := batch[at].event) is not None]) if left else []
            )
        except _Wrong as wrong:
            refused.update({left[at]: reason for at, reason in wrong.reasons.items()})
            continue
        where = dict(zip(left, positions, strict=True))
        return [
            Retried(one.kept, "refused", refused[at])
            if at in refused
            else Retried(one.kept, "retried", event=one.event, position=where[at])
            if at in where
            else one
            for at, one in enumerate(batch)
        ]


@asynccontextmanager
async def _appending(
    settings: Settings, place: Place, notify: Callable[[str], None]
) -> AsyncIterator[Append]:
    if place.serving:
        async with reached(settings.state, timeout_s=ANSWERS_WITHIN_S) as http:
            yield lambda events: _posted(http, events)
        return
    journal = await open_journal(settings, path=place.journal, keeping=False, notify=notify)
    try:

        async def append(events: Sequence[Event]) -> Sequence[Position]:
            try:
                return (await journal.append(events)).positions()
            except Conflict as conflict:
                raise _Wrong(
                    {at: "its id is in the journal, with another body" for at, _ in conflict.conflicts}
                ) from None

        yield append
    finally:
        await journal.aclose()


class _Item(msgspec.Struct):
    seq: int
    epoch: str | None = None


class _Taken(msgspec.Struct):
    epoch: str
    items: list[_Item]


async def _posted(http: ServeHttp, events: Sequence[Event]) -> Sequence[Position]:
    body = b"\n".join(one_line(encode_event(event)) for event in events)
    answer = await http.post("/events?detail=1", body, _NDJSON)
    if answer.status in (409, 413, 422):
        reasons = {
            one.index: one.reason
            for one in answer.wrong()
            if one.index is not None and one.index < len(events)
        }
        if reasons:
            raise _Wrong(reasons)
    if answer.status != 201:
        raise Transient(
            f"serve: {answer.words()}", do="run it again: what is stored already is not stored twice"
        )
    try:
        taken = answer.decode(_Taken)
    except ValueError as error:
        raise Transient(f"serve: {error}", do="start serve again with this version of migctl") from None
    return [Position(item.epoch or taken.epoch, item.seq) for item in taken.items]
