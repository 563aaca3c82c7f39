"""Table writer: events into the Supabase table, until each is a row or a tombstone.

A 2xx to an upsert that ignores duplicates proves nothing by itself: it also comes when a row of the same id and another body, or
of another position, was there before. So the seqs that were written are asked back, and one that is missing is looked up by its id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from migctl.config import Target
from migctl.config.settings import TimeoutSection
from migctl.errors import Systemic
from migctl.events import Entry, encode_event, format_time, parse_time
from migctl.events.equality import Equality, equal
from migctl.events.jsontext import loads, quote, split_array, split_object
from migctl.target import errors
from migctl.target.rest import PATIENT, Rest
from migctl.telemetry import get_logger

EVENTS = "monitoring_events"
TOMBSTONES = "monitoring_tombstones"

Reason = Literal["duplicate_of", "conflict", "poison"]

_COLUMNS = "id,event_type,timestamp,data,source,epoch,seq,committed_at"
_WRITE = f"{EVENTS}?on_conflict=id&columns={_COLUMNS}&select=seq"
_BURY = f"{TOMBSTONES}?on_conflict=epoch,seq&columns=epoch,seq,id,reason,event,committed_at"
_READ_BACK = f"{EVENTS}?select=id,event_type,timestamp,data,source,epoch,seq&id=in."
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
        return b'{"epoch":%b,"seq":%d,"id":"%b","reason":"%b","event":%b,"committed_at":"%b"}' % (
            quote(entry.epoch),
            entry.seq,
            entry.event.id.encode(),
            self.reason.encode(),
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
    return (
        b'{"id":"%b","event_type":%b,"timestamp":"%b","data":%b,"source":%b,"epoch":%b,"seq":%d,"committed_at":"%b"}'
        % row_values(entry)
    )


def row_bytes(entry: Entry) -> int:
    """The size of the row, a little above rather than below: for the byte bound of a batch."""
    event = entry.event
    # At most 4 bytes a character in UTF-8; quotes and backslashes take two, control characters are refused at ingest.
    return len(event.data) + 4 * (len(event.event_type) + len(event.source)) + len(entry.epoch) + 280


class TableWriter:
    """Writes as service_role. Not for two writers at once on one journal: the relay has one batch in flight."""

    def __init__(self, target: Target, schema: str, timeouts: TimeoutSection = PATIENT) -> None:
        self._rest = Rest(target, schema, timeouts)
        self.name = f"{schema}.{EVENTS}"

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
            action, _WRITE, body, prefer="return=representation,resolution=ignore-duplicates"
        )
        new = _seqs(action, answer)
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
        try:
            await self._rest.post(action, _BURY, body, prefer="return=minimal,resolution=ignore-duplicates")
        except errors.Rejected as error:
            raise Systemic(
                error.what, do="run `migctl schema verify`; behind a proxy, allow requests of 8 MiB"
            ) from error

    async def reach(self, epoch: str, after: int) -> int:
        """The last seq up to which every one above `after` is a row or a tombstone: heads may lag behind the rows."""
        while True:
            seqs: set[int] = set()
            for table in (EVENTS, TOMBSTONES):
                action = f"read what {table} has of {epoch} after {after}"
                query = f"{table}?select=seq&epoch=eq.{epoch}&seq=gt.{after}&order=seq.asc&limit=1000"
                seqs |= _seqs(action, await self._rest.get(action, query))
            start = after
            while after + 1 in seqs:
                after += 1
            if after == start:
                return after

    async def id_at(self, epoch: str, seq: int) -> str | None:
        """The id of the event that a position has in the target, as a row or a tombstone; None where it has neither."""
        for table in (EVENTS, TOMBSTONES):
            action = f"read seq {seq} of {epoch} from {table}"
            query = f"{table}?select=id&epoch=eq.{epoch}&seq=eq.{seq}&limit=1"
            for item in _items(action, await self._rest.get(action, query)):
                return str(loads(split_object(item)["id"]))
        return None

    async def probe(self) -> None:
        """A select on the table: raises where the table as such can't be reached, so that no event is blamed for it."""
        action = f"read {self.name}"
        _items(action, await self._rest.get(action, f"{EVENTS}?select=seq&limit=1"))

    async def _explain(self, missing: Sequence[Entry]) -> list[Tombstone]:
        """Tombstones for those of `missing` that are no row of ours."""
        found: dict[str, dict[str, bytes]] = {}
        for start in range(0, len(missing), _IDS_A_REQUEST):
            part = missing[start : start + _IDS_A_REQUEST]
            action = f"read back {_span(part)} from {self.name}"
            ids = ",".join(entry.event.id for entry in part)
            size = sum(map(row_bytes, part))
            for item in _items(
                action, await self._rest.get(action, f"{_READ_BACK}({ids})", answer_bytes=size)
            ):
                row = split_object(item)
                found[str(loads(row["id"]))] = row
        tombstones: list[Tombstone] = []
        for entry in missing:
            row_found = found.get(entry.event.id)
            if row_found is None:
                raise Systemic(
                    f"{self.name} took seq {entry.seq} of {entry.epoch} (event {entry.event.id}) and does not have it",
                    do="look for a trigger or a rule on the table that swallows rows: `migctl schema verify`",
                )
            reason = _compare(entry, row_found)
            if reason is not None:
                tombstones.append(Tombstone(entry, reason))
                _log.error(
                    "id taken", reason=reason, epoch=entry.epoch, seq=entry.seq, id=entry.event.id,
                    row_epoch=loads(row_found["epoch"]), row_seq=loads(row_found["seq"]),
                )  # fmt: skip
        return tombstones

    async def aclose(self) -> None:
        await self._rest.aclose()


def _compare(entry: Entry, row: dict[str, bytes]) -> Reason | None:
    """None for our own repeat; else why the table can't hold this entry under its id."""
    event = entry.event
    same_body = (
        loads(row["event_type"]) == event.event_type
        and loads(row["source"]) == event.source
        and parse_time(loads(row["timestamp"])) == event.timestamp
        and equal(row["data"], event.data) is Equality.SAME
    )
    if not same_body:
        return "conflict"
    own = loads(row["epoch"]) == entry.epoch and loads(row["seq"]) == entry.seq
    return None if own else "duplicate_of"


def _items(action: str, body: bytes) -> list[bytes]:
    try:
        return split_array(body)
    except ValueError:
        raise errors.unreadable(action, body) from None


def _seqs(action: str, body: bytes) -> set[int]:
    try:
        rows: Any = loads(body)
        if not isinstance(rows, list):
            raise TypeError
        return {int(row["seq"]) for row in rows}
    except (ValueError, TypeError, KeyError):
        raise errors.unreadable(action, body) from None


def _span(entries: Sequence[Entry]) -> str:
    first, last = entries[0], entries[-1]
    if first.seq == last.seq:
        return f"seq {first.seq} of {first.epoch} (event {first.event.id})"
    return f"seq {first.seq} to {last.seq} of {first.epoch}"
