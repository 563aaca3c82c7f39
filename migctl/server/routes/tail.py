"""`/api/tail`: the newest events as they come, for who watches: NDJSON, a line at most four times a second.

A line has at most MOST_EVENTS, the newest, each cut after MOST_CHARS, and says how many it passed over. Who comes back to a
position that is not long ago is given all since then first, in as many lines as that takes; and so is who was held up, as far as
the lines that did not come in time would have held it. What is searched for is searched here, in all that came, so it is found
whatever was passed over. Who reads it is no subscriber.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import msgspec
from aiohttp import web

from migctl import clock
from migctl.events import Entry
from migctl.events.times import Moment
from migctl.journal import JournalUnavailable, Log
from migctl.server.answers import refusal
from migctl.transports.websocket import resume

TAIL = "/api/tail"
EVERY_S = 0.25
# A line without events shows that both sides are there.
BEAT_S = 5.0
MOST_EVENTS = 100
MOST_CHARS = 2000
MOST_SEARCHED = 20_000
# What somebody who comes back, or was held up, is given whole.
MOST_LINES_BEHIND = 20
MOST_OPEN = 50
PAGE = 1000


class TailEvent(msgspec.Struct, frozen=True):
    """text: of its data, cut. bytes: of all of it. source_id: the producer's own, where `id` was made of it."""

    seq: int
    id: str
    type: str
    source: str
    timestamp: Moment
    committed_at: Moment
    text: str
    bytes: int
    source_id: str | None = None


class TailLine(msgspec.Struct, frozen=True):
    """head: of the journal, or as far as this line goes where more follows at once.

    passed_over: events since the line before that are not in this one, though they match.
    searched: how many came since the line before.
    """

    epoch: str
    head: int
    searched: int
    passed_over: int
    events: list[TailEvent]


def tail_routes(
    journal: Log, ending: Callable[[], str | None], *, most_open: int = MOST_OPEN
) -> list[web.RouteDef]:
    """ending: why this serve ends; None while it does not. most_open: at a time."""
    open_ = 0

    async def get(request: web.Request) -> web.StreamResponse:
        nonlocal open_
        try:
            start = resume.position_in(request.query)
            limit = resume.seq_in("limit", request.query.get("limit", str(MOST_EVENTS)))
        except resume.BadRequest as error:
            return refusal(400, "value", error.reason, field=error.field)
        if open_ >= most_open:
            return refusal(
                503, "unavailable", f"{most_open} pages are open already", headers={"Retry-After": "5"}
            )
        wanted = request.query.get("match", "")[:MOST_CHARS]
        reader = Reader(journal, wanted, limit=min(max(limit, 1), MOST_EVENTS))
        reader.begin(None if start is None else (start.epoch, start.seq))
        response = web.StreamResponse(
            headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"}
        )
        open_ += 1
        try:
            await response.prepare(request)
            with suppress(ConnectionError):
                async for line in _lines(reader, ending):
                    await response.write(msgspec.json.encode(line) + b"\n")
                await response.write_eof()
        finally:
            open_ -= 1
        return response

    return [web.get(TAIL, get)]


async def _lines(reader: Reader, ending: Callable[[], str | None]) -> AsyncIterator[TailLine]:
    loop = asyncio.get_running_loop()
    last = float("-inf")
    while ending() is None:
        try:
            line = await reader.next()
        except JournalUnavailable:
            return
        if line.searched or loop.time() - last >= BEAT_S:
            last = loop.time()
            yield line
        if not reader.owes:
            await asyncio.sleep(EVERY_S)


class Reader:
    """Of one who watches. most_searched: what lies further back is passed over. mono: seconds, to know a stall by."""

    def __init__(
        self,
        journal: Log,
        match: str,
        *,
        limit: int,
        most_searched: int = MOST_SEARCHED,
        mono: Callable[[], float] = clock.mono,
    ) -> None:
        self._journal = journal
        self._needle = match.strip().lower()
        self._limit = limit
        self._most_searched = most_searched
        self._mono = mono
        self._epoch, self._after = journal.epoch, journal.head
        self._owed_to = 0
        self._asked_at = mono()

    @property
    def owes(self) -> bool:
        """Of what was there when it began, or when it could go on, there is more."""
        return self._after < self._owed_to

    def begin(self, position: tuple[str, int] | None) -> None:
        """After this, or with the newest; nothing older than what is searched at most."""
        journal = self._journal
        oldest = max(journal.tail - 1, journal.head - self._most_searched)
        if position is not None and position[0] == journal.epoch:
            self._after = min(max(position[1], oldest), journal.head)
            self._owe(MOST_LINES_BEHIND)
        else:
            newest = oldest if self._needle else max(journal.tail - 1, journal.head - self._limit)
            self._after = newest
        self._asked_at = self._mono()

    def _owe(self, lines: int) -> None:
        """All up to the head, where it goes into so many lines."""
        head = self._journal.head
        if head - self._after <= lines * self._limit:
            self._owed_to = head

    async def next(self) -> TailLine:
        """What came since the line before."""
        journal = self._journal
        if journal.epoch != self._epoch:
            self._epoch, self._after = journal.epoch, 0
            self._owed_to = 0
        if not self.owes:
            late_s, self._asked_at = self._mono() - self._asked_at, self._mono()
            self._owe(min(int(late_s / EVERY_S), MOST_LINES_BEHIND))
        if self.owes:
            return await self._owed()
        head, searched, matching = journal.head, 0, 0
        skipped = max(0, head - self._most_searched - self._after)
        self._after += skipped
        found: deque[Entry] = deque(maxlen=self._limit)
        while self._after < head:
            entries = await journal.read(self._after, limit=PAGE)
            if not entries:
                break
            for entry in entries:
                if matches(entry, self._needle):
                    found.append(entry)
                    matching += 1
            searched += len(entries)
            self._after = entries[-1].seq
            await asyncio.sleep(0)
        passed_over = skipped + matching - len(found)
        return TailLine(self._epoch, head, searched + skipped, passed_over, [_event(one) for one in found])

    async def _owed(self) -> TailLine:
        """The next of what is owed, oldest first."""
        before = self._after
        most = min(self._limit, self._owed_to - before)
        entries = (await self._journal.read(before, limit=most))[:most]
        self._after = entries[-1].seq if entries else self._owed_to
        # What went meanwhile, by its age.
        passed_over = self._after - before - len(entries)
        found = [_event(one) for one in entries if matches(one, self._needle)]
        return TailLine(self._epoch, self._after, self._after - before, passed_over, found)


def matches(entry: Entry, needle: str) -> bool:
    """needle: in small letters; empty matches all."""
    if not needle:
        return True
    event = entry.event
    names = f"{entry.seq} {event.id} {event.source_id or ''} {event.event_type} {event.source}".lower()
    return needle in names or needle in event.data.decode("utf-8", "replace").lower()


def _event(entry: Entry) -> TailEvent:
    event = entry.event
    # A character has at most four bytes.
    text = event.data[: 4 * MOST_CHARS].decode("utf-8", "ignore")[:MOST_CHARS]
    return TailEvent(
        entry.seq,
        event.id,
        event.event_type,
        event.source,
        event.timestamp,
        entry.committed_at,
        text,
        len(event.data),
        event.source_id,
    )
