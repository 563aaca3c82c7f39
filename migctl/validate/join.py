"""Join: two or three files side by side, by id, in one pass and bounded memory.

A symmetric hash join: the first line of an id waits for its partners, is settled when the last of them came, and leaves only its id
behind, so that repeats are known. Files are read in step, so that little waits. Beyond the memory budget everything goes to
partitions on disk by hash of the id, and each is joined by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from migctl.validate.kinds import Side
from migctl.validate.lines import BadLine, Line, UnreadableLine, decode
from migctl.validate.ours import HEAD, ID_END, decode_all, last_seq
from migctl.validate.settle import Settler
from migctl.validate.spill import SETTLED, Partitions, Record
from migctl.validate.tally import Tally

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
    """Where one file is: the highest seq of the epoch that it is in."""

    def __init__(self) -> None:
        self.epoch: str | None = None
        self.top = -1
        self._tops: dict[str | None, int] = {}

    def seq_of(self, text: bytes) -> int | None:
        """The seq of a line that is surely one of ours; its epoch is then the one that the file is in."""
        head = HEAD.match(text)
        if head is None:
            return None
        self.enter(head[1].decode(errors="replace"))
        return int(head[2])

    def enter(self, epoch: str | None) -> None:
        """Go on in another epoch, or in one that was there before."""
        if epoch != self.epoch:
            self._tops[self.epoch] = self.top
            self.epoch, self.top = epoch, self._tops.get(epoch, -1)


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
        if lines and not self._feed_ours(side, number, lines):
            self._feed_any(side, number, lines)
        self._line_bytes = max(self._line_bytes, sum(map(len, lines)) // max(1, len(lines)))
        self._settler.fold()
        self._check_memory()
        return self._orders[side].epoch, self._orders[side].top

    def _feed_ours(self, side: Side, number: int, lines: list[bytes]) -> bool:
        """Take a block that can be taken as a whole; False where it can't be."""
        order, shard, mask = self._orders[side], self._shard, self._mask
        last = last_seq(lines, order.epoch, order.top)
        if last is None:
            return False
        numbers: Sequence[int] = range(number, number + len(lines))
        own = lines
        if mask:
            own = [text for text in lines if text[ID_END] & mask == shard]
            numbers = [at for at, text in enumerate(lines, number) if text[ID_END] & mask == shard]
        decoded = decode_all(own)
        if decoded is None:
            return False
        order.top = last
        self._tally.sides[side].lines += len(own)
        if self._spill is not None:
            for at, line, text in zip(numbers, decoded, own, strict=True):
                self._spill.put(line.id, Record(side, False, at, text))
            return True
        table, meet, wait = self._table, self._meet, self._wait
        pairs: list[tuple[Line, Line]] = []
        is_pair = len(self._sides) == 2
        for at, line, text in zip(numbers, decoded, own, strict=True):
            line.side, line.number, line.text = side, at, text
            event_id = line.id
            known = table.get(event_id, _NEW)
            if known is _NEW:
                wait(line)
            elif is_pair and type(known) is Line and known.side != side:
                table[event_id] = None
                pairs.append((known, line) if known.side < side else (line, known))
            else:
                meet(line, False)
        self._waiting -= len(pairs)
        self._settler.settle_pairs(pairs)
        return True

    def _feed_any(self, side: Side, number: int, lines: list[bytes]) -> None:
        """Take lines one by one."""
        shard, mask, counts = self._shard, self._mask, self._tally.sides[side]
        order = self._orders[side]
        for at, text in enumerate(lines, number):
            foreign_seq = (
                order.seq_of(text)
                if mask and text[ID_END : ID_END + 1] and text[ID_END] & mask != shard
                else None
            )
            if foreign_seq is not None:
                order.top = max(order.top, foreign_seq)
                continue
            try:
                line = decode(text)
            except BadLine as bad:
                if text.isspace():
                    continue
                if bad.cut and not text.endswith(b"\n"):
                    counts.torn_line = at
                    break
                raise UnreadableLine(self._paths[side], at, str(bad)) from None
            low = False
            if line.seq is not None:
                order.enter(line.epoch)
                low = line.seq < order.top
                order.top = max(order.top, line.seq)
            if mask and ord(line.id[-1]) & mask != shard:
                continue
            if line.event_type.startswith("sys."):
                counts.control += 1
                continue
            counts.lines += 1
            line.side, line.number, line.text = side, at, text
            if self._spill is not None:
                self._spill.put(line.id, Record(side, low, at, text))
            elif low or line.id in self._table:
                self._meet(line, low)
            else:
                self._wait(line)

    def _wait(self, line: Line) -> None:
        """Keep a line until its partner comes; as text, where the queue is long."""
        self._waiting += 1
        if self._waiting <= _DECODED_MOST:
            self._table[line.id] = line
        else:
            self._table[line.id] = Asleep(line.side, line.number, line.text)

    def _meet(self, line: Line, low: bool) -> None:
        """Take a line whose id is known already, or whose seq is low."""
        table = self._table
        known = table.get(line.id, _NEW)
        if known is _NEW:
            self._settler.out_of_order(line)
            self._wait(line)
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
                self._line_bytes = max(self._line_bytes, len(record.text))
                if record.low or line.id in self._table:
                    self._meet(line, record.low)
                else:
                    self._wait(line)
            self._check_memory()
