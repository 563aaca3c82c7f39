"""Answers: the one reader of what comes from the target with a 2xx. Pure.

There are two outcomes: what was asked for, each value of the right type and within its bounds, or Systemic: the answer is not what
was asked for. Nothing else is raised, whatever the bytes are. How many they may be is decided where they are read (`rest`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, TypeVar

import msgspec

from migctl.events import Event, decode_event
from migctl.events.jsontext import loads, read_as, split_object
from migctl.events.times import stored_text, stored_time
from migctl.target import errors
from migctl.target.chain import Head
from migctl.target.schema import ID, Epoch, Id, Seq, TimeText

T = TypeVar("T")

# What a retried dead letter came to. written: the row is new, and the tombstone gone. repeated: an earlier call did it, and its
# answer was lost. taken: another row has the id. no_tombstone: neither is there: pruned, or another target.
Found = Literal["written", "repeated", "taken", "no_tombstone"]

_is_id = re.compile(ID).fullmatch

# A count of rows is a bigint.
_CONTENT_RANGE = re.compile(r"(?:\d{1,19}-\d{1,19}|\*)/(\d{1,19})", re.ASCII)

_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
# How a moment is said that no text of ours can say.
NO_TIME = ""


class Stored(msgspec.Struct, frozen=True):
    """A row, to be compared with what was to be written.

    timestamp: None for a moment that no event of ours can have. epoch, seq: None in rows from before there was a journal.
    """

    id: str
    event_type: str
    timestamp: datetime | None
    data: bytes
    source: str
    epoch: str | None
    seq: int | None


class PageRow(msgspec.Struct):
    """A row as a reader pages through them; `rows` checks it. data: the text that PostgreSQL gave it, an object.

    Times are spelled as `format_time` does; NO_TIME where no event of ours can have it: somebody has changed the row.
    """

    id: str
    seq: Seq
    event_type: str
    timestamp: str
    source: str
    data: msgspec.Raw
    committed_at: str | None


class PageTombstone(msgspec.Struct):
    """event: the event's JSON text, to be read with `text_event`; None where it was delivered under another seq.

    committed_at: as of PageRow.
    """

    id: Id
    seq: Seq
    event: str | None
    committed_at: str


class TextEvent(msgspec.Struct, frozen=True):
    """What the text in a tombstone says, as far as readers need it. data: as PageRow's, but also with what jsonb refuses."""

    event_type: str
    timestamp: TimeText
    source: str
    data: bytes
    clock: str | None = None
    source_id: str | None = None


class _Place(msgspec.Struct):
    seq: Seq | None


class _At(msgspec.Struct):
    seq: Seq


class _Named(msgspec.Struct):
    id: Id


class _Stored(msgspec.Struct):
    id: Id
    event_type: str
    timestamp: str
    data: msgspec.Raw
    source: str
    epoch: Epoch | None
    seq: Seq | None


class _Buried(msgspec.Struct):
    event: str | None
    committed_at: str


class _Position(msgspec.Struct):
    epoch: Epoch | None
    seq: Seq | None


class _Head(msgspec.Struct, frozen=True):
    """A Head before its times are read."""

    epoch: Epoch
    prev_epoch: Epoch | None
    lost_from: Seq | None
    lost_to: Seq | None
    writer_id: str
    fence: Seq
    started_at: str
    table_tail: Seq
    table_head: Seq
    journal_head: Seq
    updated_at: str


_heads = msgspec.json.Decoder(list[_Head])
_moved = msgspec.json.Decoder(list[_Head] | _Head)
_seqs = msgspec.json.Decoder(list[_At])
_places = msgspec.json.Decoder(list[_Place])
_named = msgspec.json.Decoder(list[_Named])
_positions = msgspec.json.Decoder(list[_Position])
_stored = msgspec.json.Decoder(list[_Stored])
_buried = msgspec.json.Decoder(list[_Buried])
_rows = msgspec.json.Decoder(list[PageRow])
_tombstones = msgspec.json.Decoder(list[PageTombstone])
_found = msgspec.json.Decoder(Found)


def typed(action: str, body: bytes, kind: type[T]) -> T:
    """What a function of ours answers, as this type."""
    return _checked(action, body, lambda: read_as(body, kind))


def moment(action: str, text: str) -> datetime:
    """A time of a row, in UTC; what Python does not count is as early, or as late, as can be."""
    return _checked(action, text.encode("utf-8", "replace"), lambda: _clamped(text))


def heads(action: str, body: bytes) -> list[Head]:
    """Rows of heads, each epoch once; times are UTC."""

    def read() -> list[Head]:
        found = [_in_utc(head) for head in _heads.decode(body)]
        if len({head.epoch for head in found}) != len(found):
            raise ValueError("an epoch comes twice")
        return found

    return _checked(action, body, read)


def head(action: str, body: bytes, epoch: str, *, table_head: int, journal_head: int) -> Head:
    """The row that a function answers with, alone or in an array: of this epoch, and at least this far."""

    def read() -> Head:
        answer = _moved.decode(body)
        (found,) = answer if isinstance(answer, list) else [answer]
        if found.epoch != epoch or found.table_head < table_head or found.journal_head < journal_head:
            raise ValueError(f"the head of {found.epoch} at {found.table_head}, {found.journal_head}")
        return _in_utc(found)

    return _checked(action, body, read)


def seqs(action: str, body: bytes, first: int, last: int) -> set[int]:
    """Seqs of rows, each once, none outside of what was asked for."""

    def read() -> set[int]:
        rows = _seqs.decode(body)
        found = {row.seq for row in rows}
        if len(found) != len(rows):
            raise ValueError("a seq comes twice")
        if found and not first <= min(found) <= max(found) <= last:
            raise ValueError(f"seq {min(found)} to {max(found)}, asked for {first} to {last}")
        return found

    return _checked(action, body, read)


def last(action: str, body: bytes, after: int) -> int | None:
    """The one seq that was asked for, above this one; None where there is none."""

    def read() -> int | None:
        row = _one(_seqs.decode(body))
        if row is not None and row.seq <= after:
            raise ValueError(f"seq {row.seq}, asked for one after {after}")
        return None if row is None else row.seq

    return _checked(action, body, read)


def count(action: str, content_range: str) -> int:
    """How many rows there are in all, by the header of an answer that was asked to count them."""

    def read() -> int:
        whole = _CONTENT_RANGE.fullmatch(content_range)
        if whole is None:
            raise ValueError("no count of rows in Content-Range")
        return int(whole[1])

    return _checked(action, content_range.encode("utf-8", "replace"), read)


def some(action: str, body: bytes) -> None:
    """Rows of the events table, one at most; what they are is not asked."""
    _checked(action, body, lambda: _one(_places.decode(body)))


def id_of(action: str, body: bytes) -> str | None:
    """The id of the row that was asked for; None where there is none."""
    row = _checked(action, body, lambda: _one(_named.decode(body)))
    return None if row is None else row.id


def position_of(action: str, body: bytes) -> tuple[str | None, int | None] | None:
    """Where the row that was asked for stands, which may be nowhere; None where there is no row."""
    row = _checked(action, body, lambda: _one(_positions.decode(body)))
    return None if row is None else (row.epoch, row.seq)


def stored(action: str, body: bytes) -> dict[str, Stored]:
    """Whole rows, by id."""

    def read() -> dict[str, Stored]:
        _check_text(body)
        return {
            row.id: Stored(
                row.id,
                row.event_type,
                stored_time(row.timestamp),
                bytes(row.data),
                row.source,
                row.epoch,
                row.seq,
            )
            for row in _stored.decode(body)
        }

    return _checked(action, body, read)


def buried(action: str, body: bytes) -> tuple[Event, datetime] | None:
    """The event that a tombstone holds, and when it was committed; None where it holds none, or is not there."""

    def read() -> tuple[Event, datetime] | None:
        row = _one(_buried.decode(body))
        if row is None or row.event is None:
            return None
        committed_at = stored_time(row.committed_at)
        if committed_at is None:
            raise ValueError(f"committed at {row.committed_at}")
        text = row.event.encode()
        return decode_event(text, arrived=committed_at, default_source="", allow_control=True), committed_at

    return _checked(action, body, read)


def found(action: str, body: bytes) -> Found:
    """What the function that retries a dead letter found."""
    return _checked(action, body, lambda: _found.decode(body))


def rows(action: str, body: bytes, after: int) -> list[PageRow]:
    """A page of events, in order, all after this seq."""

    def read() -> list[PageRow]:
        _check_text(body)
        page = _rows.decode(body)
        _check_order([row.seq for row in page], after)
        if not all(map(_is_id, [row.id for row in page])):
            raise ValueError("an id is none")
        for row in page:
            _check_object(bytes(row.data))
            row.timestamp = _spelled(row.timestamp)
            if row.committed_at is not None:
                row.committed_at = _spelled(row.committed_at)
        return page

    return _checked(action, body, read)


def tombstones(action: str, body: bytes, after: int) -> list[tuple[PageTombstone, TextEvent | None]]:
    """A page of tombstones, in order, all after this seq; each with its event, where it has one."""

    def read() -> list[tuple[PageTombstone, TextEvent | None]]:
        page = _tombstones.decode(body)
        _check_order([row.seq for row in page], after)
        for row in page:
            row.committed_at = _spelled(row.committed_at)
        return [(row, None if row.event is None else _text_event(row.event)) for row in page]

    return _checked(action, body, read)


def _checked(action: str, body: bytes, read: Callable[[], T]) -> T:
    try:
        return read()
    # UnicodeError and BadEvent are ValueErrors. A document that is too deep for one of the decoders is a RecursionError.
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise errors.unreadable(action, body, str(error)) from None


def _one(rows: list[T]) -> T | None:
    if len(rows) > 1:
        raise ValueError(f"{len(rows)} rows, asked for one")
    return rows[0] if rows else None


def _in_utc(head: _Head) -> Head:
    """Its times only say which is older; what Python does not count is as old, or as new, as can be."""
    values = msgspec.structs.asdict(head)
    return Head(
        **{**values, "started_at": _clamped(head.started_at), "updated_at": _clamped(head.updated_at)}
    )


def _clamped(text: str) -> datetime:
    moment = stored_time(text)
    if moment is not None:
        return moment
    return _FIRST if text.startswith("-") or text.endswith("BC") else _LAST


def _spelled(text: str) -> str:
    return stored_text(text) or NO_TIME


def _text_event(text: str) -> TextEvent:
    members = split_object(text.encode())
    names = [name for name in TextEvent.__struct_fields__ if name in members]
    event = msgspec.convert(
        {name: members[name] if name == "data" else loads(members[name]) for name in names}, TextEvent
    )
    _check_object(event.data)
    for value in (event.event_type, event.source, event.clock or "", event.source_id or ""):
        value.encode()  # half a character is a UnicodeError
    return event


def _check_text(body: bytes) -> None:
    """A Raw is skipped over, and may hold any bytes."""
    if not body.isascii():
        body.decode()


def _check_object(data: bytes) -> None:
    if not data.startswith(b"{"):
        raise ValueError("data is no object")


def _check_order(seqs: list[int], after: int) -> None:
    for seq in seqs:
        if seq <= after:
            raise ValueError(f"seq {seq} comes after {after}")
        after = seq
