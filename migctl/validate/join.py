"""Join: two or three files side by side, by id, in one pass and bounded memory.

A symmetric hash join: the first line of an id waits for its partners, is settled when the last of them came, and leaves only its id
behind, so that repeats are known. Files are read in step, so that little waits. Beyond the memory budget everything goes to
partitions on disk by hash of the id, and each is joined by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from migctl.validate.kinds import Side
from migctl.validate.lines import BadLine, Line, UnreadableLine, decode
from migctl.validate.settle import Part, Settler
from migctl.validate.spill import SETTLED, Partitions, Record
from migctl.validate.tally import Tally

# How our own lines begin. Of those that belong to another shard no more is read than this.
_OURS = re.compile(rb'\{"id":"[0-9a-f-]{36}","epoch":"([^"\\]*)","seq":([0-9]{1,18}),"event_type":"(?!sys\.)')

# Measured: a settled id costs its text and its place in the table, a decoded line its objects beside the text.
_ID_BYTES = 150
_LINE_BYTES = 900
_RAW_BYTES = 200
_DECODED_MOST = 20_000
_PARTITIONS = 16
_DEEPEST = 5  # 16^5 partitions; what is left then are repeats, and memory must do


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
        self._all = sum(1 << side for side in sides)
        self._paths = paths
        self._shard = shard
        self._mask = shards - 1
        self._memory = memory_bytes
        self._folder = folder
        self._depth = depth
        # id to the mask of sides that were seen, once it is settled; until then to what was seen of it.
        self._table: dict[str, int | list[_Waiting]] = {}
        self._held = 0
        self._waiting = 0
        self._highest: dict[Side, dict[str, int]] = {side: {} for side in sides}
        self._spill: Partitions | None = None

    def feed(
        self, side: Side, number: int, lines: Iterable[bytes], *, torn: bool = False
    ) -> tuple[str | None, int]:
        """Take lines, the first of which has this number. Return (epoch, seq) of the last, as far as it is known.

        torn: the line has no newline behind it; if it was cut, that is told in the tally. Raises Usage for any other bad line.
        """
        shard, mask, tally = self._shard, self._mask, self._tally.sides[side]
        highest = self._highest[side]
        known_text, epoch, top = b"", "", 0
        seq: int | None = None
        for text in lines:
            # A quick look at the id's last digit, where our own lines have it.
            if mask and text[:7] == b'{"id":"' and text[43:44] == b'"' and text[42] & mask != shard:
                head = _OURS.match(text)
                if head is not None and text[-1] == 0x7D:
                    if head[1] != known_text:
                        known_text = head[1]
                        epoch = known_text.decode(errors="replace")
                        top = highest.get(epoch, 0)
                    seq = int(head[2])
                    if seq > top:
                        top = highest[epoch] = seq
                    number += 1
                    continue
            if not text or text.isspace():
                number += 1
                continue
            try:
                line = decode(text)
            except BadLine as bad:
                if torn and bad.cut:
                    tally.torn_line = number
                    break
                raise UnreadableLine(self._paths[side], number, str(bad)) from None
            low = False
            if line.seq is not None:
                seq = line.seq
                if line.epoch != epoch:
                    epoch = line.epoch or ""
                    known_text = epoch.encode(errors="replace")
                    top = highest.get(epoch, 0)
                if seq > top:
                    top = highest[epoch] = seq
                else:
                    low = seq < top
            if not mask or ord(line.id[-1]) & mask == shard:
                if line.event_type.startswith("sys."):
                    tally.control += 1
                else:
                    tally.lines += 1
                    if self._spill is None:
                        self._take(side, number, low, line, text)
                    else:
                        self._spill.put(line.id, Record(side, low, number, text))
            number += 1
        self._check_memory()
        return epoch, seq if seq is not None else -1

    def _take(self, side: Side, number: int, low: bool, line: Line, text: bytes) -> None:
        table = self._table
        seen = table.get(line.id)
        bit = 1 << side
        if seen is None:
            if low:
                self._settler.out_of_order(side, number, line)
            table[line.id] = [self._wait(side, number, low, line, text)]
            return
        if isinstance(seen, int):
            if seen & bit:
                self._settler.repeat(side, number, line)
            else:
                if low:
                    self._settler.out_of_order(side, number, line)
                table[line.id] = seen | bit
            return
        if any(waiting[0] is side for waiting in seen):
            self._settler.repeat(side, number, line)
            return
        if low:
            self._settler.out_of_order(side, number, line)
        if len(seen) + 1 < len(self._sides):
            seen.append(self._wait(side, number, low, line, text))
            return
        parts: list[Part | None] = [None, None, None]
        parts[side] = Part(side, number, line)
        self._put_parts(parts, seen)
        self._settler.settle(parts)
        table[line.id] = self._all

    def _wait(self, side: Side, number: int, low: bool, line: Line, text: bytes) -> _Waiting:
        self._waiting += 1
        # While little waits it stays decoded; a long queue waits as text, and is read again when its partner comes.
        if self._waiting < _DECODED_MOST:
            self._held += len(text) + _LINE_BYTES
            return side, number, low, line, text
        self._held += len(text) + _RAW_BYTES
        return side, number, low, None, text

    def _put_parts(self, parts: list[Part | None], seen: list[_Waiting]) -> None:
        for side, number, _, line, text in seen:
            self._waiting -= 1
            self._held -= len(text) + (_RAW_BYTES if line is None else _LINE_BYTES)
            parts[side] = Part(side, number, decode(text) if line is None else line)

    def _check_memory(self) -> None:
        if (
            self._spill is None
            and len(self._table) * _ID_BYTES + self._held > self._memory
            and self._depth < _DEEPEST
        ):
            self._overflow()

    def _overflow(self) -> None:
        """Everything that is known goes to disk, and whatever comes goes there too."""
        self._note_peak()
        self._spill = Partitions(self._folder / f"depth{self._depth}", _PARTITIONS, self._depth)
        for event_id, seen in self._table.items():
            if isinstance(seen, int):
                self._spill.put(
                    event_id, Record(SETTLED, False, seen, event_id.encode(errors="surrogatepass"))
                )
            else:
                for side, number, _, _, text in seen:
                    # Out of order was counted when it came.
                    self._spill.put(event_id, Record(side, False, number, text))
        self._table = {}
        self._held = self._waiting = 0

    def _note_peak(self) -> None:
        self._tally.peak_bytes = max(self._tally.peak_bytes, len(self._table) * _ID_BYTES + self._held)

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
        for seen in self._table.values():
            if not isinstance(seen, int):
                parts: list[Part | None] = [None, None, None]
                self._put_parts(parts, seen)
                self._settler.settle(parts)
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
                    self._table[event_id] = record.number
                else:
                    self._spill.put(event_id, record)
            else:
                line = decode(record.text)
                if self._spill is None:
                    self._take(Side(record.side), record.number, record.low, line, record.text)
                else:
                    self._spill.put(line.id, record)
            self._check_memory()


# side, number, low, the line where it is kept decoded, its text.
_Waiting = tuple[Side, int, bool, Line | None, bytes]
