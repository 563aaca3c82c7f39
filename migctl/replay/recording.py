"""Recording: events that were recorded, by `migctl capture`, `journal export`, or somebody else. Read as a stream, at any size.

Lines of ours (captures, exports) need no mapping; foreign NDJSON needs one. What can't be read as an event is counted with its line
and reason, and a torn last line is told apart from a bad one. Control events (`sys.*`) of ours are not replayed.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from migctl.errors import Usage
from migctl.events import BadEvent, Event, format_time
from migctl.events.ids import id_of_line
from migctl.events.jsontext import loads
from migctl.ingest.lines import Line, Lines
from migctl.ingest.mapping import Mapper
from migctl.replay.pacing import Pacer, Speed

CHUNK_BYTES = 256 << 10
KEPT_REASONS = 20
_BUCKETS = 256
_BOM = b"\xef\xbb\xbf"


class Recorded(NamedTuple):
    """at: the recorded time, for pacing; None where the line has none (`event.timestamp` is then the time of reading).

    line: from 1.
    """

    event: Event
    at: datetime | None
    line: int


@dataclass(slots=True)
class Reading:
    """What became of the lines so far. reasons: the first KEPT_REASONS bad lines, as (line, reason).

    unmapped: paths of what events lack of their lines, to how often. times_replaced: events that had a time which can't be read.
    """

    lines: int = 0
    events: int = 0
    ignored: int = 0
    control: int = 0
    rejected: int = 0
    reasons: list[tuple[int, str]] = field(default_factory=list)
    torn_last_line: bool = False
    unmapped: Counter[str] = field(default_factory=Counter)
    times_replaced: int = 0


class Recording:
    """A file of recorded events. Iterate `read()` as often as wanted; each pass counts into a Reading of its own."""

    def __init__(self, path: Path, *, mapper: Mapper | None = None) -> None:
        self.path = path
        self._mapper = (mapper or Mapper()).named(path.name)
        # The folder is left out: the same recording has the same ids wherever it lies.
        self._id_source = f"replay:{path.name}"
        self._foreign = not self._mapper.ours

    def read(self, *, arrived: datetime, reading: Reading | None = None) -> Iterator[Recorded]:
        """The events, in the order of the file. arrived: the time of those that have none.

        reading: filled while this goes on. Raises Usage where the file can't be read.
        """
        reading = Reading() if reading is None else reading
        lines = Lines()
        with self._open() as file:
            try:
                while chunk := file.read(CHUNK_BYTES):
                    for line in lines.feed(chunk):
                        recorded = self._take(line, arrived, reading, last=False)
                        if recorded is not None:
                            yield recorded
            except OSError as error:
                raise self._unreadable(error) from None
        last = lines.end()
        if last is not None:
            recorded = self._take(last, arrived, reading, last=True)
            if recorded is not None:
                yield recorded

    def _open(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: OSError) -> Usage:
        return Usage(f"{self.path}: {error.strerror}", do="name an NDJSON file that can be read")

    def _take(self, line: Line, arrived: datetime, reading: Reading, *, last: bool) -> Recorded | None:
        reading.lines += 1
        text = line.text.removeprefix(_BOM) if line.offset == 0 else line.text
        if not text or text.isspace():
            return None
        try:
            if line.cut:
                raise BadEvent(
                    "", "large", f"the line has {line.size} bytes; at most {len(line.text)} are read"
                )
            found = self._mapper.read(
                text,
                arrived=arrived,
                make_id=partial(id_of_line, self._id_source, line.offset),
                allow_control=not self._foreign,
            )
        except BadEvent as error:
            if last and _is_torn(text):
                reading.torn_last_line = True
            else:
                reading.rejected += 1
                if len(reading.reasons) < KEPT_REASONS:
                    reading.reasons.append((reading.lines, str(error)))
            return None
        event = found.event
        if event is None:
            reading.ignored += 1
            return None
        reading.unmapped.update(found.left_out)
        reading.times_replaced += found.when is not None and found.when.replaced
        if event.is_control:
            reading.control += 1
            return None
        reading.events += 1
        return Recorded(event, None if event.timestamp is arrived else event.timestamp, reading.lines)


def _is_torn(text: bytes) -> bool:
    """True where a last line without a newline is no whole JSON: its writer was stopped in the middle."""
    try:
        loads(text)
    except ValueError:
        return True
    return False


@dataclass(frozen=True, slots=True)
class Facts:
    """What `replay --dry-run` tells. Times aware UTC; `expected_s` is how long the replay waits on purpose."""

    reading: Reading
    first: datetime | None
    last: datetime | None
    earliest: datetime | None
    latest: datetime | None
    steps_back: int
    largest_step_back_s: float
    without_time: int
    duplicate_ids: int
    by_event_type: dict[str, int]
    data_bytes: int
    expected_s: float

    @property
    def span_s(self) -> float:
        """From the earliest to the latest event."""
        if self.earliest is None or self.latest is None:
            return 0.0
        return (self.latest - self.earliest).total_seconds()

    def document(self) -> dict[str, Any]:
        """For `--output json`; keys carry their unit."""
        reading = self.reading
        return {
            "count": reading.events,
            "lines": reading.lines,
            "first": _time(self.first),
            "last": _time(self.last),
            "earliest": _time(self.earliest),
            "latest": _time(self.latest),
            "span_s": self.span_s,
            "steps_back": self.steps_back,
            "largest_step_back_s": self.largest_step_back_s,
            "without_time": self.without_time,
            "times_replaced": reading.times_replaced,
            "unmapped": dict(reading.unmapped),
            "duplicate_ids": self.duplicate_ids,
            "by_event_type": self.by_event_type,
            "data_bytes": self.data_bytes,
            "ignored": reading.ignored,
            "control": reading.control,
            "rejected": reading.rejected,
            "rejected_lines": [{"line": line, "reason": reason} for line, reason in reading.reasons],
            "torn_last_line": reading.torn_last_line,
            "expected_s": self.expected_s,
        }


def survey(
    recording: Recording, *, arrived: datetime, speed: Speed = 1.0, max_wait_s: float | None = None
) -> Facts:
    """Read it once and tell what a replay would do. Memory: 8 bytes an event."""
    reading = Reading()
    pacer = Pacer(speed, max_wait_s)
    ids = [array("Q") for _ in range(_BUCKETS)]
    types: Counter[str] = Counter()
    first = last = earliest = latest = None
    steps_back = without_time = data_bytes = 0
    largest = expected = 0.0
    for event, at, _ in recording.read(arrived=arrived, reading=reading):
        digest = hash(event.id) & 0xFFFFFFFFFFFFFFFF
        ids[digest & 0xFF].append(digest)
        types[event.event_type] += 1
        data_bytes += len(event.data)
        expected = pacer.due_s(at)
        if at is None:
            without_time += 1
            continue
        if last is None or earliest is None or latest is None:
            first = earliest = latest = at
        if last is not None and at < last:
            steps_back += 1
            largest = max(largest, (last - at).total_seconds())
        earliest, latest, last = min(earliest, at), max(latest, at), at
    return Facts(
        reading=reading,
        first=first,
        last=last,
        earliest=earliest,
        latest=latest,
        steps_back=steps_back,
        largest_step_back_s=largest,
        without_time=without_time,
        duplicate_ids=sum(len(bucket) - len(set(bucket)) for bucket in ids),
        by_event_type=dict(types.most_common()),
        data_bytes=data_bytes,
        expected_s=expected,
    )


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)
