"""Table writer: events into the Supabase table, until each is a row or a tombstone.

A 2xx to an upsert that ignores duplicates proves nothing by itself: it also comes when a row of the same id and another body, or
of another position, was there before. So the seqs that were written are asked back, and one that is missing is looked up by its id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote as in_address

from migctl.config import Target
from migctl.errors import Systemic
from migctl.events import Entry, encode_event, format_time
from migctl.events.equality import Equality, equal
from migctl.events.jsontext import quote
from migctl.target import answers, errors, schema
from migctl.target.answers import Stored
from migctl.target.rest import LARGE_BYTES, PATIENT, SMALL_BYTES, Rest, Timeouts
from migctl.telemetry import get_logger

Reason = Literal["duplicate_of", "conflict", "poison"]

_WRITE = f"{schema.EVENTS}?on_conflict=id&columns={schema.columns(schema.ROW)}&select=seq"
_BURY = f"{schema.TOMBSTONES}?on_conflict=epoch,seq&columns={schema.columns(schema.TOMBSTONE)}&select=seq"
_READ_BACK = f"{schema.EVENTS}?select={schema.columns(schema.STORED)}&id=in."
_ROW = schema.template(schema.ROW)
_TOMBSTONE = schema.template(schema.TOMBSTONE)
_PREFER = "return=representation,resolution=ignore-duplicates"
_SEQS_A_REQUEST = 1000
# An address above 8 KB is refused by many a proxy; a UUID and its comma are 37 characters.
_IDS_A_REQUEST = 100

_log = get_logger("table")


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A seq that the events table can't hold. Its event's text is delivered from here, unless its id was delivered before."""

    entry: Entry
    reason: Reason

    def encode(self) -> bytes:
        """The JSON of the row."""
        entry = self.entry
        # The text is ASCII-safe inside: what jsonb refuses (\\u0000, a lone surrogate) stands in it as an escape.
        text = b"null" if self.reason == "duplicate_of" else quote(encode_event(entry.event).decode())
        return _TOMBSTONE % (
            quote(entry.epoch),
            entry.seq,
            entry.event.id.encode(),
            quote(self.reason),
            text,
            format_time(entry.committed_at).encode(),
        )


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch: every entry of it is in the target now.

    inserted: rows that are new; repeated: rows of ours that an earlier, unanswered request had written.
    """

    inserted: int
    repeated: int
    tombstones: tuple[Tombstone, ...] = ()


def row_values(entry: Entry) -> tuple[bytes, bytes, bytes, bytes, bytes, bytes, int, bytes]:
    """What a row has, in the order of its columns: `data` is the journal's text, id and times are without their quotes."""
    event = entry.event
    return (
        event.id.encode(),
        quote(event.event_type),
        format_time(event.timestamp).encode(),
        event.data,
        quote(event.source),
        quote(entry.epoch),
        entry.seq,
        format_time(entry.committed_at).encode(),
    )


def encode_row(entry: Entry) -> bytes:
    """The row as JSON, with the journal's text of `data`, byte for byte."""
    return _ROW % row_values(entry)


def row_bytes(entry: Entry) -> int:
    """The size of the row, a little above rather than below: for the byte bound of a batch."""
    event = entry.event
    # At most 4 bytes a character in UTF-8; quotes and backslashes take two, control characters are refused at ingest.
    return len(event.data) + 4 * (len(event.event_type) + len(event.source)) + len(entry.epoch) + 280


class TableWriter:
    """Writes as service_role. Not for two writers at once on one journal: the relay has one batch in flight."""

    def __init__(self, target: Target, schema_name: str, timeouts: Timeouts = PATIENT) -> None:
        self._rest = Rest(target, schema_name, timeouts)
        self.name = f"{schema_name}.{schema.EVENTS}"

    def follow(self, timeouts: Timeouts) -> None:
        """Other bounds for the next request on."""
        self._rest.follow(timeouts)

    @property
    def timeout_s(self) -> float:
        """How long the last request was given."""
        return self._rest.timeout_s

    async def write(self, entries: Sequence[Entry]) -> Written:
        """Return once every entry is a row or a tombstone. entries: contiguous, of one epoch, at least one.

        Idempotent: what is there already is left as it is. Raises Transient (nothing is known of the batch), Systemic,
        or Poison: none of the batch was written, and some entry of it, or its size, is refused.
        """
        action = f"write {_span(entries)} to {self.name}"
        body = b"[%b]" % b",".join(map(encode_row, entries))
        answer = await self._rest.post(
            action,
            _WRITE,
            body,
            prefer=_PREFER,
            most_bytes=_seqs_bytes(len(entries)),
            blames=True,
        )
        new = answers.seqs(action, answer, entries[0].seq, entries[-1].seq)
        missing = [entry for entry in entries if entry.seq not in new]
        inserted = len(entries) - len(missing)
        if not missing:
            return Written(inserted, 0)
        tombstones = await self._explain(missing)
        if tombstones:
            await self.bury(tombstones)
        return Written(inserted, len(missing) - len(tombstones), tuple(tombstones))

    async def bury(self, tombstones: Sequence[Tombstone]) -> None:
        """Write tombstones; one that is there already stays as it is.

        Raises Transient or Systemic. A tombstone is text and two numbers: that it is refused can't be the event's fault.
        """
        entries = [tombstone.entry for tombstone in tombstones]
        action = f"write tombstones for {_span(entries)} beside {self.name}"
        body = b"[%b]" % b",".join(tombstone.encode() for tombstone in tombstones)
        answer = await self._rest.post(
            action, _BURY, body, prefer=_PREFER, most_bytes=_seqs_bytes(len(entries))
        )
        first, last = entries[0].seq, entries[-1].seq
        new = answers.seqs(action, answer, first, last)
        missing = [entry for entry in entries if entry.seq not in new]
        for start in range(0, len(missing), _IDS_A_REQUEST):
            await self._find_buried(missing[start : start + _IDS_A_REQUEST])

    async def _find_buried(self, part: Sequence[Entry]) -> None:
        """Tombstones that were there already. Raises Systemic for one that is not."""
        action = f"read back tombstones for {_span(part)} beside {self.name}"
        seqs = ",".join(str(entry.seq) for entry in part)
        query = f"{schema.TOMBSTONES}?select=seq&{of_epoch(part[0].epoch)}&seq=in.({seqs})"
        answer = await self._rest.get(action, query, most_bytes=_seqs_bytes(len(part)))
        found = answers.seqs(action, answer, part[0].seq, part[-1].seq)
        for entry in part:
            if entry.seq not in found:
                raise self._swallowed(entry)

    async def reach(self, epoch: str, after: int) -> int:
        """The last seq up to which every one above `after` is a row or a tombstone: heads may lag behind the rows."""
        while True:
            seqs: set[int] = set()
            for table in (schema.EVENTS, schema.TOMBSTONES):
                action = f"read what {table} has of {epoch} after {after}"
                query = f"{table}?select=seq&{of_epoch(epoch)}&seq=gt.{after}&order=seq.asc&limit={_SEQS_A_REQUEST}"
                answer = await self._rest.get(action, query, most_bytes=_seqs_bytes(_SEQS_A_REQUEST))
                seqs |= answers.seqs(action, answer, after + 1, schema.MOST_SEQ)
            start = after
            while after + 1 in seqs:
                after += 1
            if after == start:
                return after

    async def last_to(self, epoch: str, seq: int) -> int:
        """The last seq up to this one that is a row or a tombstone; 0 where there is none."""
        return max(await self._ends(epoch, f"seq=lte.{seq}&order=seq.desc", 0, seq))

    async def first_from(self, epoch: str, seq: int) -> int | None:
        """The first seq from this one on that is a row or a tombstone; None where there is none."""
        found = await self._ends(epoch, f"seq=gte.{seq}&order=seq.asc", seq, schema.MOST_SEQ)
        return min((one for one in found if one), default=None)

    async def _ends(self, epoch: str, where: str, first: int, last: int) -> list[int]:
        """Of each table the one seq that this finds; 0 where it finds none."""
        found = []
        for table in (schema.EVENTS, schema.TOMBSTONES):
            action = f"read an end of {epoch} in {table}"
            answer = await self._rest.get(action, f"{table}?select=seq&{of_epoch(epoch)}&{where}&limit=1")
            found.append(max(answers.seqs(action, answer, first, last), default=0))
        return found

    async def count(self, epoch: str, first: int, last: int) -> int:
        """How many seqs from `first` to `last` are rows or tombstones: all of them, where it is not less than there are.

        A seq that is both, which a late answer can leave, counts twice where tombstones are asked for at all.
        """
        found = 0
        for table in (schema.EVENTS, schema.TOMBSTONES):
            action = f"count seq {first} to {last} of {epoch} in {table}"
            where = f"{of_epoch(epoch)}&seq=gte.{first}&seq=lte.{last}"
            found += answers.count(
                action, await self._rest.count(action, f"{table}?select=seq&{where}&limit=1")
            )
            if found >= last - first + 1:
                break
        return found

    async def id_at(self, epoch: str, seq: int) -> str | None:
        """The id of the event that a position has in the target, as a row or a tombstone; None where it has neither."""
        for table in (schema.EVENTS, schema.TOMBSTONES):
            action = f"read seq {seq} of {epoch} from {table}"
            query = f"{table}?select=id&{of_epoch(epoch)}&seq=eq.{seq}&limit=1"
            found = answers.id_of(action, await self._rest.get(action, query))
            if found is not None:
                return found
        return None

    async def probe(self) -> None:
        """A select on the table: raises where the table as such can't be reached, so that no event is blamed for it."""
        action = f"read {self.name}"
        answers.some(action, await self._rest.get(action, f"{schema.EVENTS}?select=seq&limit=1"))

    async def _explain(self, missing: Sequence[Entry]) -> list[Tombstone]:
        """Tombstones for those of `missing` that are no row of ours."""
        found: dict[str, Stored] = {}
        for start in range(0, len(missing), _IDS_A_REQUEST):
            found |= await self._read_back(missing[start : start + _IDS_A_REQUEST])
        tombstones: list[Tombstone] = []
        for entry in missing:
            row = found.get(entry.event.id)
            if row is None:
                raise self._swallowed(entry)
            try:
                reason = _compare(entry, row)
            except ValueError as error:
                raise errors.unreadable(
                    f"compare {_span([entry])} with {self.name}", row.data, str(error)
                ) from None
            if reason is not None:
                tombstones.append(Tombstone(entry, reason))
                _log.error(
                    "id taken", reason=reason, epoch=entry.epoch, seq=entry.seq, id=entry.event.id,
                    row_epoch=row.epoch, row_seq=row.seq,
                )  # fmt: skip
        return tombstones

    async def _read_back(self, part: Sequence[Entry]) -> dict[str, Stored]:
        """The rows that have these ids; in halves where they are too much for one answer."""
        action = f"read back {_span(part)} from {self.name}"
        ids = ",".join(entry.event.id for entry in part)
        size = sum(map(row_bytes, part))
        try:
            answer = await self._rest.get(
                action, f"{_READ_BACK}({ids})", answer_bytes=size, most_bytes=LARGE_BYTES
            )
        except errors.TooLarge:
            if len(part) == 1:
                raise
            middle = len(part) // 2
            return await self._read_back(part[:middle]) | await self._read_back(part[middle:])
        return answers.stored(action, answer)

    def _swallowed(self, entry: Entry) -> Systemic:
        return Systemic(
            f"{self.name} took seq {entry.seq} of {entry.epoch} (event {entry.event.id}) and does not have it",
            do="look for a trigger or a rule on the table that swallows rows: `migctl schema verify`",
        )

    async def aclose(self) -> None:
        await self._rest.aclose()


def _compare(entry: Entry, row: Stored) -> Reason | None:
    """None for our own repeat; else why the table can't hold this entry under its id. Raises ValueError for too deep a document."""
    event = entry.event
    same_body = (
        row.event_type == event.event_type
        and row.source == event.source
        and row.timestamp == event.timestamp
        and equal(row.data, event.data) is Equality.SAME
    )
    if not same_body:
        return "conflict"
    own = row.epoch == entry.epoch and row.seq == entry.seq
    return None if own else "duplicate_of"


def _seqs_bytes(count: int) -> int:
    """What so many times `{"seq":1234567890}` with a comma may take, with room to spare."""
    return SMALL_BYTES + 64 * count


def of_epoch(epoch: str) -> str:
    """The filter of a query. Heads of a stranger name their epochs as they like."""
    return f"epoch=eq.{in_address(epoch, safe='')}"


def _span(entries: Sequence[Entry]) -> str:
    first, last = entries[0], entries[-1]
    if first.seq == last.seq:
        return f"seq {first.seq} of {first.epoch} (event {first.event.id})"
    return f"seq {first.seq} to {last.seq} of {first.epoch}"
