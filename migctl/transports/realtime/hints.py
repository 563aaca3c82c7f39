"""Hints: journal entries as broadcast messages. Pure.

A hint is `{"v":1,"epoch","first","last","table_head","events":[...]}`, its events contiguous from first to last. An event that the
official clients would drop or bend, or that is too large, goes as a reference `{"id","seq"}`: the reader fetches it from the table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from migctl.events import Entry, format_time
from migctl.events.jsontext import depth_of, quote

# An event older than this is fetched by readers anyway: they have heard of it by a heartbeat, and repair a gap after 150 ms.
LIVE_EDGE = timedelta(seconds=2)

# The client's parser (jiter) gives up at 200 levels and drops the whole frame; the frame itself takes five.
_MAX_DEPTH = 150

# Quick tests; what they let through is parsed. Up to 15 significant digits always survive a double, an escape outside
# \uD800-\uDFFF is never half a pair, and fewer opening brackets than levels can't be too deep.
_LONG_NUMBER = re.compile(rb"[0-9][0-9.]{15}|[0-9][eE]")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_HALF_A_PAIR = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Hint:
    """One message: its seqs, and its JSON."""

    first: int
    last: int
    payload: bytes


def live_edge(entries: Sequence[Entry], *, now: datetime) -> Sequence[Entry]:
    """The end of a contiguous run that is worth a hint; what is before it, the table supersedes.

    committed_at never falls within a journal, but a clock that is set back could break the run: hints are contiguous.
    """
    old = sum(entry.committed_at < now - LIVE_EDGE for entry in entries)
    return entries[old:]


def hints(entries: Sequence[Entry], *, table_head: int, max_bytes: int) -> Iterator[Hint]:
    """The messages for a contiguous run of entries of one epoch, each at most `max_bytes` long.

    max_bytes: at least 1024, so that a reference always fits.
    """
    if not entries:
        return
    epoch = quote(entries[0].epoch)
    # All that stands around the events, with the widest numbers that this run has.
    frame = len(_message(epoch, entries[-1].seq, entries[-1].seq, table_head, []))
    items: list[bytes] = []
    first, size = entries[0].seq, frame
    for entry in entries:
        item = _item(entry, max_bytes - frame)
        if items and size + 1 + len(item) > max_bytes:
            yield Hint(first, entry.seq - 1, _message(epoch, first, entry.seq - 1, table_head, items))
            items, first, size = [], entry.seq, frame
        size += len(item) + (1 if items else 0)
        items.append(item)
    last = entries[-1].seq
    yield Hint(first, last, _message(epoch, first, last, table_head, items))


def heartbeat(*, epoch: str, journal_head: int, table_head: int) -> bytes:
    """The payload of the event `heartbeat`."""
    return b'{"v":1,"epoch":%b,"journal_head":%d,"table_head":%d}' % (quote(epoch), journal_head, table_head)


def survives_clients(data: bytes) -> bool:
    """False for JSON that an official client drops (half a surrogate pair, too deep) or bends (a number that no double holds).

    data: valid JSON. A number is held where its double's shortest text is the same decimal: 0.1 is, 0.1000000000000000055 is not.
    """
    if data.count(b"{") + data.count(b"[") > _MAX_DEPTH and depth_of(data) > _MAX_DEPTH:
        return False
    surrogate, number = _SURROGATE.search(data), _LONG_NUMBER.search(data)
    return (surrogate is None and number is None) or _survives_parsing(data)


def _survives_parsing(data: bytes) -> bool:
    bent = False

    def number(text: str) -> None:
        nonlocal bent
        bent = bent or not _fits_double(text)

    # Of a key that is there twice both values count: clients read what they then drop.
    value = json.loads(data, parse_int=number, parse_float=number, object_pairs_hook=lambda pairs: pairs)
    return not bent and not _has_half_pair(value)


def _fits_double(text: str) -> bool:
    try:
        return Decimal(text) == Decimal(repr(float(text)))
    except (InvalidOperation, OverflowError):
        return False


def _has_half_pair(value: object) -> bool:
    if isinstance(value, str):
        return _HALF_A_PAIR.search(value) is not None
    return isinstance(value, (list, tuple)) and any(map(_has_half_pair, value))


def _item(entry: Entry, room: int) -> bytes:
    """The event itself where it fits into `room` bytes and clients can read it, else a reference."""
    event = entry.event
    if len(event.data) <= room and survives_clients(event.data):
        item = (
            b'{"id":"%b","seq":%d,"event_type":%b,"timestamp":"%b","source":%b,"data":%b,"committed_at":"%b"}'
            % (
                event.id.encode(),
                entry.seq,
                quote(event.event_type),
                format_time(event.timestamp).encode(),
                quote(event.source),
                event.data,
                format_time(entry.committed_at).encode(),
            )
        )
        if len(item) <= room:
            return item
    return b'{"id":"%b","seq":%d}' % (event.id.encode(), entry.seq)


def _message(epoch: bytes, first: int, last: int, table_head: int, items: list[bytes]) -> bytes:
    return b'{"v":1,"epoch":%b,"first":%d,"last":%d,"table_head":%d,"events":[%b]}' % (
        epoch,
        first,
        last,
        table_head,
        b",".join(items),
    )
