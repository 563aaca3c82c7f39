"""Settle: what one event counts for, once all that is known of it stands side by side."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from migctl.events.equality import Equality
from migctl.events.numbers import loads_exact
from migctl.events.times import format_time, micros_of
from migctl.validate import tally as t
from migctl.validate.kinds import TRANSPORTS, Side, compare, fields_that_differ
from migctl.validate.lines import Line, UnreadableLine
from migctl.validate.tally import Examples, Tally
from migctl.validate.window import Window

_MICROSECOND = timedelta(microseconds=1)


class Part(NamedTuple):
    """The first line of an id on one side, and where it stands there."""

    side: Side
    number: int
    line: Line


class Settler:
    """Counts into `tally`, event by event. The order of calls makes no difference.

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
        self._late_us = round(late_after_s * 1_000_000)
        self._excused = excused
        self._paths = paths
        self._missing_column = {Side.WEBSOCKET: t.MISSING_WEBSOCKET, Side.REALTIME: t.MISSING_REALTIME}

    def settle(self, parts: list[Part | None]) -> None:
        """parts: by side; None where that side has no line with this id."""
        tally, journal = self._tally, parts[Side.JOURNAL]
        truth = journal or parts[Side.WEBSOCKET] or parts[Side.REALTIME]
        assert truth is not None
        line = truth.line
        committed = line.committed_at or _first_commit(parts)
        if journal is None and self._has_journal:
            tally.unexpected += 1
            self._example(
                "unexpected", truth, received_on=[s.label for s in TRANSPORTS if parts[s] is not None]
            )
            return
        if not self._window.is_open and not self._window.covers(line.epoch, line.seq, committed):
            tally.outside += 1
            return
        if self._excused and (line.epoch, line.seq) in self._excused:
            tally.excused += 1
            return
        cells = self._cells(line, committed)
        tally.expected += 1
        for cell in cells:
            cell[t.EXPECTED] += 1
        absent, verdict = [], Equality.SAME
        for side in self._compared:
            part = parts[side]
            if part is None:
                absent.append(side)
                continue
            tally.sides[side].received += 1
            self._times(part, committed)
            if part is not truth:
                found = self._compare(truth, part)
                if found is not Equality.SAME and verdict is not Equality.DIFFERENT:
                    verdict = found
        if len(self._compared) == len(TRANSPORTS) and not absent:
            self._difference(parts)
        for side in absent:
            tally.missing[side] += 1
            for cell in cells:
                cell[self._missing_column[side]] += 1
            self._example(f"missing_{side.label}", truth)
        if len(absent) == len(self._compared):
            tally.lost += 1
            for cell in cells:
                cell[t.LOST] += 1
            self._example("lost", truth)
        if verdict is Equality.DIFFERENT:
            tally.payload_mismatch += 1
            for cell in cells:
                cell[t.MISMATCH] += 1
            self._fields("payload_mismatch", truth, parts)
            return
        if verdict is Equality.NUMBER_PRECISION:
            tally.number_precision += 1
            for cell in cells:
                cell[t.PRECISION] += 1
            self._fields("number_precision", truth, parts)
        if not absent:
            tally.matched += 1
            for cell in cells:
                cell[t.MATCHED] += 1

    def repeat(self, side: Side, number: int, line: Line) -> None:
        """A line after the first with the same id."""
        self._tally.sides[side].repeats += 1
        if side is not Side.JOURNAL:
            self._example(f"duplicate_{side.label}", Part(side, number, line))

    def out_of_order(self, side: Side, number: int, line: Line) -> None:
        """A first line whose seq is below the highest before."""
        self._tally.sides[side].out_of_order += 1
        if side is not Side.JOURNAL:
            self._example(f"out_of_order_{side.label}", Part(side, number, line))

    def _cells(self, line: Line, committed: datetime | None) -> tuple[list[int], list[int]]:
        types, minutes = self._tally.by_event_type, self._tally.by_minute
        moment = committed or line.timestamp
        if moment.tzinfo is not UTC:
            moment = moment.astimezone(UTC)
        minute = moment.toordinal() * 1440 + moment.hour * 60 + moment.minute
        by_type, by_minute = types.get(line.event_type), minutes.get(minute)
        if by_type is None:
            by_type = types[line.event_type] = [0] * len(t.COLUMNS)
        if by_minute is None:
            by_minute = minutes[minute] = [0] * len(t.COLUMNS)
        return by_type, by_minute

    def _times(self, part: Part, committed: datetime | None) -> None:
        side_tally = self._tally.sides[part.side]
        line = part.line
        if line.source is None:
            side_tally.without_source += 1
        if line.received_at is None:
            return
        commit = committed or line.committed_at
        taken = (line.received_at - (commit or line.timestamp)) // _MICROSECOND
        if line.via == "live":
            (side_tally.live if commit is not None else side_tally.live_by_timestamp).add(taken)
            if line.received_mono_ns is not None and part.number % 16 == 1:
                side_tally.wall_us.add(micros_of(line.received_at) - line.received_mono_ns // 1000)
        elif line.via is not None:
            side_tally.catch_up.add(taken)
        if commit is None:
            side_tally.without_commit += 1
        elif taken > self._late_us and (line.via == "live" or line.via is None):
            side_tally.late += 1
            self._example("late", part, transport=part.side.label, after_ms=taken / 1000)

    def _difference(self, parts: list[Part | None]) -> None:
        websocket, realtime = parts[Side.WEBSOCKET], parts[Side.REALTIME]
        assert websocket is not None
        assert realtime is not None
        one, other = websocket.line, realtime.line
        if one.via == "live" == other.via and one.received_at is not None and other.received_at is not None:
            self._tally.difference.add((other.received_at - one.received_at) // _MICROSECOND)

    def _compare(self, truth: Part, part: Part) -> Equality:
        try:
            return compare(truth.line, part.line)
        except ValueError as error:
            # Only here is data parsed whole; say whose line it is.
            try:
                loads_exact(bytes(part.line.data))
            except ValueError as own:
                raise UnreadableLine(self._paths[part.side], part.number, f"data: {own}") from None
            raise UnreadableLine(self._paths[truth.side], truth.number, f"data: {error}") from None

    def _fields(self, kind: str, truth: Part, parts: list[Part | None]) -> None:
        if kind == "number_precision" and not self._examples.wants(kind, truth.number):
            return
        fields: list[str] = []
        transports = []
        for side in self._compared:
            part = parts[side]
            if part is None or part is truth:
                continue
            differ = fields_that_differ(truth.line, part.line)
            if differ:
                transports.append(side.label)
                fields.extend(field for field in differ if field not in fields)
        if kind == "payload_mismatch":
            for field in fields:
                if not field.endswith(" (number_precision)"):
                    self._tally.count_field(field)
        self._example(kind, truth, transports=transports, against=truth.side.label, fields=fields)

    def _example(self, kind: str, part: Part, **more: Any) -> None:
        if not self._examples.wants(kind, part.number):
            return
        line = part.line
        details: dict[str, Any] = {"id": line.id, "epoch": line.epoch, "seq": line.seq}
        details["file"], details["line"] = str(self._paths[part.side]), part.number
        details["event_type"] = line.event_type
        if line.committed_at is not None:
            details["committed_at"] = format_time(line.committed_at.astimezone(UTC))
        self._examples.add(kind, part.number, details | more)


def _first_commit(parts: list[Part | None]) -> datetime | None:
    for part in parts:
        if part is not None and part.line.committed_at is not None:
            return part.line.committed_at
    return None
