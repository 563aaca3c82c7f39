"""Join: two or three files side by side, by id, in one pass and bounded memory.

A symmetric hash join: the first line of an id waits for its partners, is settled when the last of them came, and leaves only its id
behind, so that repeats are known. Files are read in step, so that little waits. Beyond the memory budget everything goes to
partitions on disk by hash of the id, and each is joined by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from migctl.validate.kinds import Side
from migctl.validate.lines import BadLine, Line, UnreadableLine, decode
from migctl.validate.settle import Settler
from migctl.validate.spill import SETTLED, Partitions, Record
from migctl.validate.tally import Tally

# How our own lines begin. Of those that belong to another shard no more is read than this.
_OURS = re.compile(
    rb'\{"id":"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"'
    rb',"epoch":"([^"\\]*)","seq":([0-9]{1,18}),'
)

_ID_END = 42
_CONTROL = b',"event_type":"sys.'

# Measured: a settled id costs its text and its place in the table, a decoded line its objects beside the text.
_ID_BYTES = 150
_LINE_BYTES = 900
_RAW_BYTES = 200
_DECODED_MOST = 20_000
_PARTITIONS = 16
_DEEPEST = 5  # 16^5 partitions; what is left then are repeats, and memory must do


class Asleep(msgspec.Struct, gc=False):
    """A line that waits as text."""

    side: int
    number: int
    text: bytes


def _wake(asleep: Asleep) -> Line:
    line = decode(asleep.text)
    line.side, line.number, line.text = asleep.side, asleep.number, asleep.text
    return line


_Waiting = Line | Asleep
_NEW: list[_Waiting] = []


class _Order:
    """Where one file is: the highest seq of the epoch that it is in.

    between, start: what stands between id and seq in our own lines of this epoch, and where the seq begins.
    """

    def __init__(self) -> None:
        self.epoch: str | None = None
        self.top = -1
        self.between = b""
        self.start = 0
        self._tops: dict[str | None, int] = {}

    def learn(self, text: bytes) -> None:
        """Look at a line that begins otherwise than those before."""
        head = _OURS.match(text)
        if head is not None:
            self.turn(head[1].decode(errors="replace"))
            self.start = head.start(2)
            self.between = text[_ID_END + 1 : self.start]

    def turn(self, epoch: str | None) -> None:
        """Go on in another epoch, or in one that was there before."""
        if epoch != self.epoch:
            self._tops[self.epoch] = self.top
            self.epoch, self.top, self.between = epoch, self._tops.get(epoch, -1), b""


class Join:
    """One shard. `feed` blocks in any order of sides, each side's in its own order; then `finish`.

    shard, shards: this one takes the ids of its share; shards is a power of two, at most 16.
    memory_bytes: beyond this it spills to `folder`.
    """

    def __init__(
        self,
        settler: Settler,
        tally: Tally,
        *,
        sides: tuple[Side, ...],
        paths: dict[Side, Path],
        shard: int,
        shards: int,
        memory_bytes: int,
        folder: Path,
        depth: int = 0,
    ) -> None:
        self._settler = settler
        self._tally = tally
        self._sides = sides
        self._paths = paths
        self._shard = shard
        self._mask = shards - 1
        self._memory = memory_bytes
        self._folder = folder
        self._depth = depth
        # id to the lines that wait for their partners; to None once it is settled.
        self._table: dict[str, _Waiting | list[_Waiting] | None] = {}
        self._waiting = 0
        self._line_bytes = 0
        self._orders = {side: _Order() for side in sides}
        self._spill: Partitions | None = None

    def feed(self, side: Side, number: int, lines: list[bytes]) -> tuple[str | None, int]:
        """Take lines, the first of which has this number. Return (epoch, seq) of the last, as far as it is known.

        A line that was cut and has no newline behind it is told in the tally. Raises Usage for any other bad line.
        """
        shard, mask, table, counts = self._shard, self._mask, self._table, self._tally.sides[side]
        order = self._orders[side]
        between, start, top = order.between, order.start, order.top
        taken = 0
        for text in lines:
            # Of a line that is another shard's, by its id's last digit, only the seq is read, where our own lines have it.
            if mask and len(text) > _ID_END and text[_ID_END] & mask != shard:
                if not text.startswith(between, _ID_END + 1) or not between:
                    order.top = top
                    order.learn(text)
                    between, start, top = order.between, order.start, order.top
                if (
                    text.startswith(between, _ID_END + 1)
                    and text.startswith(b'{"id":"')
                    and text[15:31:5] == b"----"
                    and text.endswith(b"}\n")
                    and between
                ):
                    end = text.find(b",", start)
                    digits = text[start:end]
                    if digits.isdigit() and not text.startswith(_CONTROL, end):
                        seq = int(digits)
                        top = max(top, seq)
                        number += 1
                        continue
            try:
                line = decode(text)
            except BadLine as bad:
                if text.isspace():
                    number += 1
                    continue
                if bad.cut and not text.endswith(b"\n"):
                    counts.torn_line = number
                    break
                raise UnreadableLine(self._paths[side], number, str(bad)) from None
            low = False
            line_seq = line.seq
            if line_seq is not None:
                if line.epoch != order.epoch:
                    order.top = top
                    order.turn(line.epoch)
                    between, start, top = order.between, order.start, order.top
                if line_seq > top:
                    top = line_seq
                else:
                    low = line_seq < top
            if not mask or ord(line.id[-1]) & mask == shard:
                if line.event_type.startswith("sys."):
                    counts.control += 1
                    number += 1
                    continue
                taken += 1
                line.side, line.number, line.text = side, number, text
                if self._spill is not None:
                    self._spill.put(line.id, Record(side, low, number, text))
                elif low or line.id in table:
                    self._meet(line, low)
                elif self._waiting < _DECODED_MOST:
                    table[line.id] = line
                    self._waiting += 1
                else:
                    table[line.id] = Asleep(side, number, text)
                    self._waiting += 1
            number += 1
        order.top = top
        counts.lines += taken
        self._line_bytes = max(self._line_bytes, sum(map(len, lines)) // max(1, len(lines)))
        self._settler.fold()
        self._check_memory()
        return order.epoch, top

    def _meet(self, line: Line, low: bool) -> None:
        """Take a line whose id is known already, or whose seq is low."""
        table = self._table
        known = table.get(line.id, _NEW)
        if known is _NEW:
            self._settler.out_of_order(line)
            table[line.id] = line
            self._waiting += 1
            return
        if known is None:
            self._settler.repeat(line)
            return
        waiting = known if isinstance(known, list) else [known]
        for each in waiting:
            if each.side == line.side:
                self._settler.repeat(line)
                return
        if low:
            self._settler.out_of_order(line)
        if len(waiting) + 1 < len(self._sides):
            waiting.append(line)
            table[line.id] = waiting
            self._waiting += 1
            return
        self._settle(waiting, line)
        table[line.id] = None

    def _settle(self, waiting: list[Line | Asleep], last: Line | None) -> None:
        lines: list[Line | None] = [None, None, None]
        for each in waiting:
            lines[each.side] = _wake(each) if isinstance(each, Asleep) else each
        if last is not None:
            lines[last.side] = last
        self._waiting -= len(waiting)
        self._settler.settle(lines)

    def _held_bytes(self) -> int:
        decoded = min(self._waiting, _DECODED_MOST) * _LINE_BYTES
        return len(self._table) * _ID_BYTES + self._waiting * (self._line_bytes + _RAW_BYTES) + decoded

    def _check_memory(self) -> None:
        if self._spill is None and self._held_bytes() > self._memory and self._depth < _DEEPEST:
            self._overflow()

    def _overflow(self) -> None:
        """Everything that is known goes to disk, and whatever comes goes there too."""
        self._note_peak()
        self._spill = Partitions(self._folder / f"depth{self._depth}", _PARTITIONS, self._depth)
        for event_id, known in self._table.items():
            if known is None:
                text = event_id.encode(errors="surrogatepass")
                self._spill.put(event_id, Record(SETTLED, False, 0, text))
                continue
            for each in (
                known if isinstance(known, list) else (known,)
            ):  # out of order was counted when it came
                self._spill.put(event_id, Record(each.side, False, each.number, each.text))
        self._table = {}
        self._waiting = 0

    def _note_peak(self) -> None:
        self._tally.peak_bytes = max(self._tally.peak_bytes, self._held_bytes())

    def close(self) -> None:
        """Let go of the files on disk, also after an error."""
        if self._spill is not None:
            self._spill.close()

    def finish(self) -> None:
        """Settle what found no partner."""
        self._note_peak()
        if self._spill is not None:
            self._tally.spilled_bytes += self._spill.bytes_written
            for number, records in enumerate(self._spill.drain()):
                self._join_partition(number, records)
            return
        for known in self._table.values():
            if known is not None:
                self._settle(known if isinstance(known, list) else [known], None)
        self._settler.fold()
        self._table = {}

    def _join_partition(self, number: int, records: Iterable[Record]) -> None:
        join = Join(
            self._settler,
            self._tally,
            sides=self._sides,
            paths=self._paths,
            shard=0,
            shards=1,
            memory_bytes=self._memory,
            folder=self._folder / f"part{number}",
            depth=self._depth + 1,
        )
        try:
            join.replay(records)
            join.finish()
        finally:
            join.close()

    def replay(self, records: Iterable[Record]) -> None:
        """Take what a partition holds."""
        for record in records:
            if record.side == SETTLED:
                event_id = record.text.decode(errors="surrogatepass")
                if self._spill is None:
                    self._table[event_id] = None
                else:
                    self._spill.put(event_id, record)
            else:
                line = decode(record.text)
                if self._spill is not None:
                    self._spill.put(line.id, record)
                    continue
                line.side, line.number, line.text = record.side, record.number, record.text
                if record.low or line.id in self._table:
                    self._meet(line, record.low)
                else:
                    self._table[line.id] = line
                    self._waiting += 1
                    self._line_bytes = max(self._line_bytes, len(record.text))
            self._check_memory()
