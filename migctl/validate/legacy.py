"""Legacy: what came over the old socket beside what the journal has, by content, for its frames have no id.

Each event of the journal is paired with at most one of a frame, of equal type and data, whatever their spelling. Old dashboards are
at-most-once across a reconnect: what they miss is not in `lost`. Memory grows with the different contents of the capture, not with
the journal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import msgspec

from migctl.errors import Usage
from migctl.events.canonical import canonical
from migctl.events.jsontext import quote, read_as
from migctl.validate.document import summary_part
from migctl.validate.gates import Bounds, Gate, at_most, worst
from migctl.validate.inputs import LEGACY, Summary, digest, input_of, summary_of, window_of_one
from migctl.validate.kinds import Side
from migctl.validate.lines import UnreadableLine, blocks, decode
from migctl.validate.result import InputFile, OldSocket, Report
from migctl.validate.shard import JournalReader
from migctl.validate.window import Window, WindowKind


class _Event(msgspec.Struct):
    data: msgspec.Raw
    event_type: str | None = None


class _Frame(msgspec.Struct):
    events: list[_Event]


class Received(NamedTuple):
    """contents: of its events, each as often as it came. by_data: frames were the data alone, and so are the contents."""

    frames: int
    not_events: int
    contents: Counter[bytes]
    by_data: bool
    torn_line: int | None = None


class Paired(NamedTuple):
    """repeated: more often than the journal has them. unknown: the journal has none. expected: matched and missing."""

    matched: int
    missing: int
    repeated: int
    unknown: int


def content(event_type: str | None, data: bytes) -> bytes:
    """What makes two events the same; without a type, the data alone. Raises ValueError for what is no JSON."""
    text = canonical(data)
    if event_type is not None:
        text = b"[%b,%b]" % (quote(event_type), text)
    return blake2b(text, digest_size=16).digest()


def pair(received: Mapping[bytes, int], truth: Iterable[tuple[bytes, bool]]) -> Paired:
    """truth: the content of each event of the journal, and whether it lies in the window, so that it is expected."""
    expected: Counter[bytes] = Counter()
    outside: Counter[bytes] = Counter()
    missing = 0
    for one, is_inside in truth:
        if one in received:
            (expected if is_inside else outside)[one] += 1
        else:
            missing += is_inside
    matched = repeated = unknown = 0
    for one, count in received.items():
        both = min(count, expected[one])
        matched += both
        missing += expected[one] - both
        if one in expected or one in outside:
            repeated += max(0, count - both - outside[one])
        else:
            unknown += count
    return Paired(matched, missing, repeated, unknown)


def read_capture(path: Path, size: int) -> Received:
    """size: bytes that are read of it. Raises Usage where it can't be read; a last line that was cut is left out."""
    frames = not_events = 0
    torn: int | None = None
    contents: Counter[bytes] = Counter()
    by_data = False
    for block in blocks(path, size):
        for number, text in enumerate(block.lines, block.number):
            if not text.strip():
                continue
            try:
                events = read_as(text, _Frame).events
                found = [(one.event_type, bytes(one.data)) for one in events]
                each = [content(*one) for one in found]
            except ValueError as error:
                if not text.endswith(b"\n"):
                    torn = number
                    continue
                raise UnreadableLine(path, number, f"no frame of a capture: {error}") from None
            frames += 1
            not_events += not each
            contents.update(each)
            by_data = by_data or any(of is None for of, _ in found)
    return Received(frames, not_events, contents, by_data, torn)


def with_legacy(
    made: Report,
    path: Path | None,
    journal: Path | None,
    reader: JournalReader,
    *,
    window: WindowKind,
    bounds: Bounds,
) -> Report:
    """A report with the part of the old socket, and its gate where one was asked for. Raises Usage for what can't be used."""
    if path is None:
        return _judged(made, None, bounds)
    if journal is None:
        raise Usage(
            f"{path}: frames of the old socket have no id, so they are compared with the journal alone, and there is none",
            do="name the journal with --journal FILE (`migctl journal export`), or move the capture away",
        )
    size = input_of(Side.WEBSOCKET, path).size
    received, summary = read_capture(path, size), summary_of(path)
    covered = window_of_one(summary, window)
    paired = pair(received.contents, _truth(journal, reader, covered, by_data=received.by_data))
    part = OldSocket(
        frames=received.frames,
        not_events=received.not_events,
        compared_by="data" if received.by_data else "type and data",
        expected=paired.matched + paired.missing,
        events_matched=paired.matched,
        missing=paired.missing,
        repeated=paired.repeated,
        unknown=paired.unknown,
        summary=summary_part(summary),
    )
    file = InputFile(side=LEGACY, file=str(path), size=size, sha256=digest(path, size), lines=received.frames)
    made = msgspec.structs.replace(
        made,
        legacy=part,
        remarks=[*made.remarks, *_remarks(received, summary)],
        inputs=[*made.inputs, file],
    )
    return _judged(made, part, bounds)


def _truth(
    journal: Path, reader: JournalReader, window: Window, *, by_data: bool
) -> Iterator[tuple[bytes, bool]]:
    """Of each event that an old dashboard may expect."""
    source = input_of(Side.JOURNAL, journal)
    if source.is_database:
        for entry in reader.read(journal):
            event = entry.event
            if not event.is_control:
                inside = window.covers(entry.epoch, entry.seq, entry.committed_at)
                yield content(None if by_data else event.event_type, event.data), inside
        return
    for block in blocks(journal, source.size):
        for number, text in enumerate(block.lines, block.number):
            if not text.strip():
                continue
            try:
                line = decode(text)
            except ValueError as error:
                if not text.endswith(b"\n"):  # torn, which the report has said
                    return
                raise UnreadableLine(journal, number, str(error)) from None
            if not line.event_type.startswith("sys."):
                inside = window.covers(line.epoch, line.seq, line.committed_at)
                yield content(None if by_data else line.event_type, bytes(line.data)), inside


def _judged(made: Report, part: OldSocket | None, bounds: Bounds) -> Report:
    if bounds.max_legacy_missing is None:
        return made
    value, samples = (part.missing, part.expected) if part is not None else (None, 0)
    verdict = at_most(value, bounds.max_legacy_missing, samples)
    gate = Gate("max_legacy_missing", bounds.max_legacy_missing, value, samples, verdict)
    return msgspec.structs.replace(
        made, gates=[*made.gates, gate], verdict=worst((made.verdict, gate.verdict))
    )


def _remarks(received: Received, summary: Summary | None) -> list[str]:
    found = []
    if received.torn_line is not None:
        found.append(f"line {received.torn_line}, the last, is torn and left out")
    if summary is None:
        found.append("no summary beside the capture; it is taken to cover everything, nothing is excused")
    else:
        if not summary.complete:
            found.append(f"the capture is not complete: {summary.reason}")
        if summary.received is not None and summary.received != received.frames:
            found.append(
                f"the file has {received.frames:,} of the {summary.received:,} frames that were captured"
            )
    return [f"{LEGACY}: {one}" for one in found]
