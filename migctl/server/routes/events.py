"""`/events`: events in, durable before they are acknowledged; and events out, from a position."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from aiohttp import web

from migctl.clock import mono, now
from migctl.events import Event
from migctl.events.codec import Unknown
from migctl.events.jsontext import quote
from migctl.ingest.http import BadBody, Body, ItemError, read_events
from migctl.ingest.times import Times
from migctl.journal import Appended, Conflict, JournalUnavailable, Log
from migctl.server.access.allowance import Allowances, retry_after
from migctl.server.access.bodies import body_of
from migctl.server.access.guard import owner_of
from migctl.server.answers import answer, errors, refusal
from migctl.server.counts import Counts, Rejection
from migctl.telemetry import get_logger
from migctl.transports.websocket import frames, resume
from migctl.transports.wire import MAX_BODY_BYTES

log = get_logger("ingest")

# A larger body is parsed beside the event loop, so that live delivery does not wait for it.
PARSE_INLINE_BYTES = 64 << 10
MAX_LIMIT = 10_000
RETRY_AFTER_S = 1


class Events:
    """The two handlers, over one journal."""

    def __init__(
        self,
        journal: Log,
        refusing: Callable[[], str | None],
        *,
        counts: Counts,
        events_per_second: float | None = None,
        unknown: Unknown = "refuse",
        times: Times | None = None,
    ) -> None:
        """counts: added to. events_per_second: what each token may send; None for no limit.

        unknown: what becomes of keys that no event has. times: how producers write theirs.
        """
        self._journal = journal
        self._refusing = refusing
        self._counts = counts
        self._allowances = Allowances(events_per_second)
        self._unknown: Unknown = unknown
        self._times = times or Times(unread="reject")

    def follow(self, events_per_second: float | None) -> None:
        """What each token may send from now on."""
        self._allowances.follow(events_per_second)

    async def post(self, request: web.Request) -> web.StreamResponse:
        """201 once everything of the request is durable; else nothing of it is stored.

        With `?partial=1` what is wrong is left out: 207 once the rest is durable, with the errors of what was not stored.
        """
        why = self._refusing()
        if why is not None:
            return _unavailable(why)
        partial = request.query.get("partial") in ("1", "true")
        try:
            found = await self._read(request)
            if found.errors and not (partial and found.events):
                raise found.bad()
            wait_s = self._allowances.take(owner_of(request), len(found.events), mono())
            if wait_s:
                return _too_many(wait_s, self._allowances.per_second)
            began = mono()
            appended = await self._append(found, partial=partial)
        except BadBody as error:
            self._reject(request, error.errors)
            return errors(error.status, error.errors)
        except Conflict as error:
            items = [*found.errors, *conflicts_of(error, found).values()]
            self._reject(request, items)
            return errors(409, items)
        except JournalUnavailable as error:
            return _unavailable(f"{error.what}; {error.do}")
        self._counts.append_seconds.observe(mono() - began)
        self._counts.accepted += appended.accepted
        self._counts.duplicates += appended.duplicates
        self._posted(request, accepted=appended.accepted, duplicates=appended.duplicates)
        self._reject(request, found.errors)
        log_at = log.info if found.events else log.debug
        log_at(
            "events taken",
            epoch=appended.epoch,
            first=appended.first_seq,
            last=appended.last_seq,
            accepted=appended.accepted,
            duplicates=appended.duplicates,
        )
        body: dict[str, Any] = {
            "accepted": appended.accepted,
            "duplicates": appended.duplicates,
            "epoch": appended.epoch,
            "first_seq": appended.first_seq,
            "last_seq": appended.last_seq,
        }
        if request.query.get("detail") in ("1", "true"):
            body["items"] = detail_of(found.events, appended)
        if found.errors:
            listed = sorted(found.errors, key=lambda one: one.index or 0)
            return answer(
                207, {**body, "rejected": len(listed), "errors": [asdict(one) for one in listed]}, as_is=True
            )
        return answer(201, body, as_is=True)

    async def _append(self, found: Body, *, partial: bool) -> Appended:
        """partial: events that conflict become errors, and the others go on; Conflict where none is left."""
        while True:
            try:
                return await self._journal.append(found.events)
            except Conflict as conflict:
                wrong = conflicts_of(conflict, found)
                if not partial or len(wrong) == len(found.events):
                    raise
                found.drop(wrong)

    def _posted(self, request: web.Request, **counts: int) -> None:
        agent = request.headers.get("User-Agent", "")
        self._counts.producers.posted(owner_of(request), now(), remote=request.remote, agent=agent, **counts)

    def _reject(self, request: web.Request, items: Sequence[ItemError]) -> None:
        if not items:
            return
        at = now()
        self._posted(request, rejected=len(items))
        known = [Rejection(at, one.id, one.code, one.reason) for one in items if one.id is not None]
        self._counts.reject(known, len(items))

    async def _read(self, request: web.Request) -> Body:
        body = await body_of(request, MAX_BODY_BYTES)
        parse = functools.partial(
            read_events,
            body,
            request.headers.get("Content-Type", ""),
            arrived=now(),
            default_source=request.remote or "unknown",
            idempotency_key=request.headers.get("Idempotency-Key"),
            # Two producers may count their requests alike.
            key_scope=owner_of(request),
            unknown=self._unknown,
            times=self._times,
        )
        return parse() if len(body) <= PARSE_INLINE_BYTES else await asyncio.to_thread(parse)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """What a v2 socket would have sent after a position: `{epoch, head, tail, events: [frame, ...]}`; 410 where it is gone.

        Without a position: from the first event that is still held. A short answer proves nothing; the end is an empty one.
        """
        journal = self._journal
        try:
            position = resume.position_in(request.query)
            limit = limit_in(request.query)
        except resume.BadRequest as error:
            return refusal(400, "value", error.reason, field=error.field)
        epoch, tail = journal.epoch, journal.tail
        after = tail - 1
        if position is not None:
            start = resume.begin(position, epoch=epoch, head=journal.head, tail=tail)
            if start.resume == "unrecoverable":
                return _gone(journal, start.reason)
            after = start.after
        entries = await journal.read(after, limit=limit)
        if position is not None and entries and entries[0].seq != after + 1:  # cut away while it was read
            return _gone(journal, "trimmed")
        body = b'{"epoch":%b,"head":%d,"tail":%d,"events":[%b]}\n' % (
            quote(epoch),
            journal.head,
            journal.tail,
            b",".join([frames.event_text(entry) for entry in entries]),
        )
        return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})


def conflicts_of(error: Conflict, found: Body) -> dict[int, ItemError]:
    """By place among the events. With the id as the producer wrote it, and in words the one that was made of it."""
    return {at: _conflict(found.indexes[at], found.events[at]) for at, _ in error.conflicts}


def _conflict(index: int, event: Event) -> ItemError:
    known_as = f", as {event.id}" if event.source_id is not None else ""
    reason = (
        f"is in the journal already{known_as}, with another body; give the changed event an id of its own"
    )
    return ItemError(index, event.source_id or event.id, "id", "conflict", reason)


def _unavailable(reason: str) -> web.Response:
    return refusal(503, "unavailable", reason, headers={"Retry-After": str(RETRY_AFTER_S)})


def _too_many(wait_s: float, limit: float | None) -> web.Response:
    reason = f"more than {limit:g} events a second; nothing of this request was stored"
    return refusal(429, "rate", reason, headers={"Retry-After": retry_after(wait_s)})


def _gone(journal: Log, reason: str | None) -> web.Response:
    return answer(410, {"epoch": journal.epoch, "tail": journal.tail, "reason": reason})


def limit_in(query: Mapping[str, str]) -> int:
    """How many events an answer has at most. Raises BadRequest."""
    return min(max(resume.seq_in("limit", query.get("limit", "1000")), 1), MAX_LIMIT)


def detail_of(events: list[Event], appended: Appended) -> list[dict[str, Any]]:
    """For each event of a request, in its order. source_id: as the producer wrote it, where that is no UUID. epoch: of a duplicate
    that came in one before."""
    items: list[dict[str, Any]] = []
    for event, position, new in zip(events, appended.positions(), appended.is_new(), strict=True):
        item: dict[str, Any] = {"id": event.id, "seq": position.seq, "duplicate": not new}
        if event.source_id is not None:
            item["source_id"] = event.source_id
        if position.epoch != appended.epoch:
            item["epoch"] = position.epoch
        items.append(item)
    return items
