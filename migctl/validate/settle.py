"""Settle: what one event counts for, once all that is known of it stands side by side.

Most events match, so that way is short: what a matched event adds is gathered and brought into the tally from time to time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from migctl.events.equality import Equality, surely_same
from migctl.events.numbers import loads_exact
from migctl.events.times import format_time, micros_of
from migctl.validate.kinds import TRANSPORTS, Side, compare, fields_that_differ
from migctl.validate.lines import Line, UnreadableLine, own_id
from migctl.validate.tally import (
    COLUMNS,
    EXPECTED,
    LOST,
    MATCHED,
    MISMATCH,
    MISSING_REALTIME,
    MISSING_WEBSOCKET,
    PRECISION,
    Examples,
    Tally,
)
from migctl.validate.window import Window

_DAY_US = 86_400_000_000
_MINUTE = timedelta(minutes=1)
_NO_TIME = datetime(1, 1, 1, tzinfo=UTC)
_Lines = list[Line | None]
_Cell = tuple[str, int]


class Settler:
    """Counts into `tally`, event by event; the order of calls makes no difference. `fold` brings in what was gathered.

    has_journal: the journal is the truth; without it, each event that any capture has is expected.
    compared: the transports that are under comparison.
    excused: positions of the journal that are not expected.
    """

    def __init__(
        self,
        tally: Tally,
        examples: Examples,
        *,
        has_journal: bool,
        compared: tuple[Side, ...],
        window: Window,
        late_after_s: float,
        excused: frozenset[tuple[str, int]],
        paths: dict[Side, Path],
    ) -> None:
        self._tally = tally
        self._examples = examples
        self._has_journal = has_journal
        self._compared = compared
        self._window = window
        self._is_open = window.is_open
        self._late_us = round(late_after_s * 1_000_000)
        self._excused = excused
        self._paths = paths
        self._is_dual = len(compared) == len(TRANSPORTS)
        self._matched: dict[_Cell, int] = {}
        self._live: tuple[list[int], ...] = ([], [], [])
        self._difference: list[int] = []

    def settle(self, lines: _Lines) -> None:
        """lines: the first of each side; None where that side has no line with this id."""
        journal, websocket, realtime = lines
        truth = journal or websocket or realtime
        assert truth is not None
        committed = truth.committed_at or _first_commit(lines)
        if journal is None and self._has_journal:
            self._unexpected(lines, truth)
            return
        if not self._is_open and not self._window.covers(truth.epoch, truth.seq, committed):
            self._tally.outside += 1
            return
        if self._excused and (truth.epoch, truth.seq) in self._excused:
            self._tally.excused += 1
            return
        if truth.clock == "arrival":
            self._tally.times_replaced += 1
        absent: list[Side] = []
        verdict = Equality.SAME
        for side in self._compared:
            line = lines[side]
            if line is None:
                absent.append(side)
                continue
            # The usual times in few words; what is unusual about them has a method of its own.
            if line.via == "live" and committed is not None and line.received_at is not None:
                delta = line.received_at - committed
                taken = delta.microseconds + 1_000_000 * delta.seconds + _DAY_US * delta.days
                self._live[side].append(taken)
                if taken > self._late_us:
                    self._late(side, line, taken)
            else:
                self._other_times(side, line, committed)
            if line is not truth:
                if line.source is None or truth.source is None:
                    self._tally.sides[side].without_source += 1
                try:
                    found = compare(truth, line)
                except ValueError as error:
                    raise self._unreadable(truth, line, error) from None
                if found is not Equality.SAME and verdict is not Equality.DIFFERENT:
                    verdict = found
        cell = truth.event_type, _minute(committed or truth.timestamp)
        if not absent and verdict is Equality.SAME:
            self._matched[cell] = self._matched.get(cell, 0) + 1
            if truth.number & 15 == 0:
                self._watch_clocks(lines)
        else:
            self._discrepant(lines, truth, absent, verdict, cell)
        if self._is_dual and not absent:
            assert websocket is not None
            assert realtime is not None
            if websocket.via == "live" == realtime.via and websocket.received_at and realtime.received_at:
                delta = realtime.received_at - websocket.received_at
                self._difference.append(delta.microseconds + 1_000_000 * delta.seconds + _DAY_US * delta.days)

    def settle_pairs(self, pairs: list[tuple[Line, Line]]) -> None:
        """Settle events of which each of the two files has one line; what is true of nearly all of them in few words."""
        usual = self._is_dual and not self._has_journal and self._is_open and not self._excused
        matched, late_us = self._matched, self._late_us
        ours, theirs, difference = self._live[Side.WEBSOCKET], self._live[Side.REALTIME], self._difference
        begin = end = _NO_TIME
        minute = 0
        for truth, line in pairs:
            committed, one, other = truth.committed_at, truth.received_at, line.received_at
            if (
                usual
                and truth.via == "live" == line.via
                and committed is not None
                and one is not None
                and other is not None
                and truth.event_type == line.event_type
                and truth.timestamp == line.timestamp
                and truth.source == line.source is not None
                and truth.number & 15
                and surely_same(truth.data, line.data)
            ):
                delta = one - committed
                first = delta.microseconds + 1_000_000 * delta.seconds + _DAY_US * delta.days
                delta = other - committed
                second = delta.microseconds + 1_000_000 * delta.seconds + _DAY_US * delta.days
                if first <= late_us and second <= late_us:
                    ours.append(first)
                    theirs.append(second)
                    difference.append(second - first)
                    if not begin <= committed < end:
                        minute = _minute(committed)
                        begin = committed.replace(second=0, microsecond=0)
                        end = begin + _MINUTE
                    cell = truth.event_type, minute
                    matched[cell] = matched.get(cell, 0) + 1
                    continue
            lines: _Lines = [None, None, None]
            lines[truth.side], lines[line.side] = truth, line
            self.settle(lines)

    def fold(self) -> None:
        """Bring what was gathered into the tally."""
        tally = self._tally
        for cell, count in self._matched.items():
            tally.expected += count
            tally.matched += count
            for side in self._compared:
                tally.sides[side].received += count
            for counts in self._cells(cell):
                counts[EXPECTED] += count
                counts[MATCHED] += count
        self._matched.clear()
        for side in self._compared:
            tally.sides[side].live.add_all(self._live[side])
            self._live[side].clear()
        tally.difference.add_all(self._difference)
        self._difference.clear()

    def repeat(self, line: Line) -> None:
        """A line after the first with the same id."""
        self._tally.sides[line.side].repeats += 1
        if line.side != Side.JOURNAL:
            self._example(f"duplicate_{Side(line.side).label}", line)

    def out_of_order(self, line: Line) -> None:
        """A first line whose seq is below the highest before."""
        self._tally.sides[line.side].out_of_order += 1
        if line.side != Side.JOURNAL:
            self._example(f"out_of_order_{Side(line.side).label}", line)

    def _unexpected(self, lines: _Lines, truth: Line) -> None:
        self._tally.unexpected += 1
        received_on = [side.label for side in TRANSPORTS if lines[side] is not None]
        self._example("unexpected", truth, received_on=received_on)

    def _discrepant(
        self, lines: _Lines, truth: Line, absent: list[Side], verdict: Equality, cell: _Cell
    ) -> None:
        tally, both = self._tally, self._cells(cell)
        columns = [EXPECTED]
        tally.expected += 1
        for side in self._compared:
            if side not in absent:
                tally.sides[side].received += 1
                continue
            tally.missing[side] += 1
            columns.append(MISSING_WEBSOCKET if side is Side.WEBSOCKET else MISSING_REALTIME)
            self._example(f"missing_{side.label}", truth)
        if len(absent) == len(self._compared):
            tally.lost += 1
            columns.append(LOST)
            self._example("lost", truth)
        if verdict is Equality.DIFFERENT:
            tally.payload_mismatch += 1
            columns.append(MISMATCH)
            self._fields("payload_mismatch", truth, lines)
        elif verdict is Equality.NUMBER_PRECISION:
            tally.number_precision += 1
            columns.append(PRECISION)
            self._fields("number_precision", truth, lines)
        if not absent and verdict is not Equality.DIFFERENT:
            tally.matched += 1
            columns.append(MATCHED)
        for counts in both:
            for column in columns:
                counts[column] += 1

    def _cells(self, cell: _Cell) -> tuple[list[int], list[int]]:
        event_type, minute = cell
        none = [0] * len(COLUMNS)
        return (
            self._tally.by_event_type.setdefault(event_type, none.copy()),
            self._tally.by_minute.setdefault(minute, none),
        )

    def _other_times(self, side: Side, line: Line, committed: datetime | None) -> None:
        counts = self._tally.sides[side]
        if committed is None:
            counts.without_commit += 1
        if line.received_at is None:
            return
        delta = line.received_at - (committed or line.timestamp)
        taken = delta.microseconds + 1_000_000 * delta.seconds + _DAY_US * delta.days
        if line.via == "live":
            counts.live_by_timestamp.add_all([taken])
        elif line.via is not None:
            counts.catch_up.add_all([taken])
        else:
            counts.without_via.add_all([taken])
            if committed is not None and taken > self._late_us:
                self._late(side, line, taken)

    def _late(self, side: Side, line: Line, taken: int) -> None:
        self._tally.sides[side].late += 1
        self._example("late", line, transport=side.label, after_ms=taken / 1000)

    def _watch_clocks(self, lines: _Lines) -> None:
        """A sample of how the wall clock stands to the monotonic one: it must not move while a capture runs."""
        for side in self._compared:
            line = lines[side]
            if line is not None and line.received_at is not None and line.received_mono_ns is not None:
                wall = micros_of(line.received_at) - line.received_mono_ns // 1000
                self._tally.sides[side].wall_us.add_all([wall])

    def _unreadable(self, truth: Line, line: Line, error: ValueError) -> UnreadableLine:
        """Only where bodies are compared is data parsed whole; say whose line it is."""
        try:
            loads_exact(line.data)
        except ValueError as own:
            return UnreadableLine(self._paths[Side(line.side)], line.number, f"data: {own}")
        return UnreadableLine(self._paths[Side(truth.side)], truth.number, f"data: {error}")

    def _fields(self, kind: str, truth: Line, lines: _Lines) -> None:
        if kind == "number_precision" and not self._examples.wants(kind, truth.number):
            return
        fields: list[str] = []
        transports = []
        for side in self._compared:
            line = lines[side]
            if line is None or line is truth:
                continue
            differ = fields_that_differ(truth, line)
            if differ:
                transports.append(side.label)
                fields.extend(field for field in differ if field not in fields)
        if kind == "payload_mismatch":
            for field in fields:
                if not field.endswith(" (number_precision)"):
                    self._tally.count_field(field)
        self._example(kind, truth, transports=transports, against=Side(truth.side).label, fields=fields)

    def _example(self, kind: str, line: Line, **more: object) -> None:
        if not self._examples.wants(kind, line.number):
            return
        details: dict[str, object] = {"id": line.id}
        if (own := own_id(line)) is not None:
            details["source_id"] = own
        details |= {"epoch": line.epoch, "seq": line.seq}
        details["file"], details["line"] = str(self._paths[Side(line.side)]), line.number
        details["event_type"] = line.event_type
        if line.committed_at is not None:
            details["committed_at"] = format_time(line.committed_at.astimezone(UTC))
        self._examples.add(kind, line.number, details | more)


def _minute(moment: datetime) -> int:
    """Minutes since the first day of year 1, plus a day."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.toordinal() * 1440 + moment.hour * 60 + moment.minute


def _first_commit(lines: _Lines) -> datetime | None:
    for line in lines:
        if line is not None and line.committed_at is not None:
            return line.committed_at
    return None
