"""Deposit: how a source that has no answer to give brings its events to the journal.

While the journal can't take them it waits and tries the same batch again, so nothing is lost here and memory holds one batch. An
event that conflicts (its id is there with another body) is set aside as rejected, and the rest of its batch goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from random import Random
from typing import Any, NamedTuple, TypedDict

from migctl.clock import mono, now
from migctl.events import BadEvent, Event
from migctl.events.ids import both_ids, id_of_conflict
from migctl.ingest.left_out import Leaving
from migctl.ingest.mapping import Mapped, Mapper
from migctl.ingest.rejected import Rejected
from migctl.journal import Bookmark, Conflict, JournalUnavailable, Log
from migctl.resilience import Backoff, Retry
from migctl.status.sources import Expected
from migctl.telemetry import get_logger
from migctl.telemetry.arrivals import Arrivals
from migctl.telemetry.summary import Summary

BACKOFF = Backoff(first_s=0.05, most_s=2.0)

_log = get_logger("ingest")


async def finish(work: Coroutine[Any, Any, None], *, within_s: float) -> None:
    """Await `work`. Where we are cancelled meanwhile, it gets `within_s` more, and then the cancellation goes on."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=within_s)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise


class Item(NamedTuple):
    """An event, the text it came from, and the offset of that text (None where the source has none).

    left_out: paths of what the event does not have of it. replaced: its time is that of the arrival though it had one.
    """

    event: Event
    text: bytes
    offset: int | None
    left_out: tuple[str, ...] = ()
    replaced: bool = False


def item_of(event: Event, found: Mapped, text: bytes, offset: int | None) -> Item:
    """What a mapping made of this text. event: its event."""
    return Item(event, text, offset, found.left_out, found.when is not None and found.when.replaced)


class Lossy(TypedDict):
    """What a MappedStatus says of what its events lack."""

    without_time: int
    times_replaced: int
    unmapped: dict[str, int]
    unmapped_messages: int
    unmapped_file: str
    expected: list[Expected]


def losses_of(deposit: Deposit | None, mapper: Mapper) -> Lossy:
    """deposit: None before the source has begun."""
    expected: list[Expected] = []
    if mapper.times.unread == "arrival":
        expected.append("times")
    if mapper.unmapped == "drop":
        expected.append("fields")
    return Lossy(
        without_time=deposit.without_time if deposit else 0,
        times_replaced=deposit.times_replaced if deposit else 0,
        unmapped=dict(deposit.leaving.fields) if deposit else {},
        unmapped_messages=deposit.leaving.messages if deposit else 0,
        unmapped_file=str(deposit.leaving.file) if deposit else "",
        expected=expected,
    )


class Came(TypedDict):
    """What a SourceStatus says of when its events came."""

    since: datetime | None
    last_event_at: datetime | None
    per_s: float | None


def came_of(deposit: Deposit | None) -> Came:
    """deposit: None before the source has begun."""
    if deposit is None:
        return Came(since=None, last_event_at=None, per_s=None)
    of = deposit.arrivals
    return Came(since=of.since, last_event_at=of.last_at, per_s=of.per_s(now()))


class Deposit:
    """Puts batches of one source into the journal, and counts what became of them. summary: to be run beside, or ended."""

    def __init__(
        self,
        journal: Log,
        *,
        source: str,
        rejected: Rejected,
        backoff: Backoff = BACKOFF,
        random: Callable[[], float] | None = None,
    ) -> None:
        self._journal = journal
        self._source = source
        self._rejected = rejected
        self._backoff = backoff
        self._random = random or Random().random
        self.arrivals = Arrivals(now())
        self.accepted = 0
        self.duplicates = 0
        self.conflicts = 0
        self.without_time = 0
        self.times_replaced = 0
        self.leaving = Leaving(rejected.path.parent, source)
        self.waiting_for: str | None = None
        self.summary = Summary(_log, "events taken in", position=lambda: {"source": source})

    async def put(self, items: Sequence[Item], *, read: Bookmark | None = None) -> None:
        """Return once the batch is durable, with `read` in the same transaction."""
        left = list(items)
        began = mono()
        retry = Retry(self._backoff, random=self._random)
        while left or read is not None:
            try:
                appended = await self._journal.append([item.event for item in left], read=read)
            except Conflict as conflict:
                left = self._set_aside(left, conflict)
                continue
            except JournalUnavailable as error:
                retry.failed(error)
                if self.waiting_for is None:
                    _log.warning(
                        "the journal takes nothing now; waiting", source=self._source, reason=error.what
                    )
                self.waiting_for = error.what
                await retry.wait()
                continue
            if self.waiting_for is not None:
                _log.info("the journal takes events again", source=self._source, attempts=retry.failures + 1)
                self.waiting_for = None
            self.accepted += appended.accepted
            self.duplicates += appended.duplicates
            self.arrivals.came(appended.accepted, now())
            self._count(left)
            if left:
                self.summary.carried(
                    took_s=mono() - began, events=appended.accepted, duplicates=appended.duplicates
                )
            return

    def _count(self, items: Sequence[Item]) -> None:
        at = now()
        for item in items:
            self.without_time += item.event.clock == "arrival"
            self.times_replaced += item.replaced
            if item.left_out:
                self.leaving.add(item.left_out, at)

    def _set_aside(self, items: list[Item], conflict: Conflict) -> list[Item]:
        indexes = {index for index, _ in conflict.conflicts}
        for index in sorted(indexes):
            item = items[index]
            name = both_ids(item.event.id, item.event.source_id)
            reason = f"{name} is in the journal already, with another body"
            self._rejected.add(
                item.text,
                BadEvent("id", "conflict", reason),
                source=self._source,
                offset=item.offset,
                at=now(),
                id=id_of_conflict(item.event.id, item.text),
            )
        self.conflicts += len(indexes)
        return [item for index, item in enumerate(items) if index not in indexes]
