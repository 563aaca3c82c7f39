"""Merge: makes one contiguous run out of hints that are lost, repeated and reordered, and of pages that fill the holes. Pure.

What is at or below the position is a repeat and dropped; the next seq is ready to be released; what is above waits in a buffer that
is bounded in bytes. Nothing here ever leaves a hole in silence: a seq that is not coming is a `Discontinuity`, which somebody who
looked at the tables has to declare.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from migctl.events import Position
from migctl.subscriber.core.release import Discontinuity, Release

REPAIR_AFTER_S = 0.150
MAX_GAP = 10_000
MAX_BUFFER_BYTES = 32 << 20

# What an item costs beside its data: the object, its texts, a place in a dict.
_OVERHEAD_BYTES = 600


class Skip(msgspec.Struct, frozen=True, gc=False):
    """A seq that has nothing to deliver: a tombstone without text, because its id was delivered before."""

    epoch: str
    seq: int


Item = Release | Skip


def _size(item: Item) -> int:
    return _OVERHEAD_BYTES + (len(item.data) if isinstance(item, Release) else 0)


class Merge:
    """The state of one reader.

    Two marks: `position` is what was taken out; `top` is how far the run reaches that is taken or ready to be taken. Until `start`
    nothing is known, and what is offered waits.
    """

    def __init__(
        self,
        *,
        max_buffer_bytes: int = MAX_BUFFER_BYTES,
        max_gap: int = MAX_GAP,
        repair_after_s: float = REPAIR_AFTER_S,
    ) -> None:
        self._max_bytes = max_buffer_bytes
        self._max_gap = max_gap
        self._repair_after_s = repair_after_s
        self._position: Position | None = None
        self._top: Position | None = None
        self._left: str | None = None
        self._ready: deque[Item | Discontinuity] = deque()
        self._above: dict[str, dict[int, Item]] = {}
        self._heard: dict[str, int] = {}
        self._named: set[int] = set()  # seqs above top whose text a hint left out; bounded by max_gap
        self._ready_bytes = 0
        self._above_bytes = 0
        self._gap_since: tuple[Position, float] | None = None
        self._in_repair = False
        self.repeats_dropped = 0
        self.gaps_repaired = 0
        self.buffers_dropped = 0
        self.put_off = 0

    # What it is asked

    @property
    def position(self) -> Position | None:
        """The last seq that was taken; None before `start`."""
        return self._position

    @property
    def place(self) -> str | None:
        """The same for a line of the log."""
        return None if self._position is None else str(self._position)

    @property
    def top(self) -> Position | None:
        """Up to here all is taken or ready. None before `start`."""
        return self._top

    @property
    def bytes(self) -> int:
        return self._ready_bytes + self._above_bytes

    @property
    def heard(self) -> int:
        """The highest seq of this epoch that is known to exist; at least top."""
        if self._top is None:
            return 0
        return max(self._top.seq, self._heard.get(self._top.epoch, 0))

    @property
    def strange_epoch(self) -> bool:
        """An epoch was heard of that is neither this one nor the one before."""
        return self._top is not None and any(
            epoch not in (self._top.epoch, self._left) for epoch in self._heard
        )

    @property
    def behind(self) -> bool:
        """Something exists that is not ready."""
        return self._top is not None and (self.heard > self._top.seq or self.strange_epoch)

    def missing(self) -> tuple[int, int] | None:
        """The first run of seqs that is not there, up to what is buffered or heard of; None where nothing is missing."""
        if self._top is None or self.heard <= self._top.seq:
            return None
        above = self._above.get(self._top.epoch)
        return self._top.seq + 1, (min(above) - 1 if above else self.heard)

    def named(self, seq: int) -> bool:
        """A hint named this seq without its text."""
        return seq in self._named

    def repair_at(self) -> float | None:
        """The time from which on the gap wants repair; None where there is none. At once for what was only named."""
        if self._gap_since is None or self._top is None:
            return None
        since = self._gap_since[1]
        return since if self._top.seq + 1 in self._named else since + self._repair_after_s

    def fits(self, item: Item) -> bool:
        """There is room among what is ready. Pages wait for it; live hints do not, they are paged for later."""
        return not self._ready or self._ready_bytes + _size(item) <= self._max_bytes

    # What it is told

    def start(self, position: Position, now: float) -> None:
        """Begin after `position`; what was offered before it is a repeat."""
        self._position = position
        self._move(position)
        self._settle(now)

    def offer(self, item: Item, now: float) -> None:
        """Take an item from anywhere: a hint, a resumed frame, a page."""
        self._put(item)
        self._settle(now)

    def offer_all(self, items: Sequence[Item], now: float) -> None:
        """The same for the items of one message."""
        for item in items:
            self._put(item)
        self._settle(now)

    def hear(self, epoch: str, head: int, now: float) -> None:
        """Somebody said that `epoch` goes up to `head`."""
        self._hear(epoch, head)
        self._settle(now)

    def name(self, epoch: str, seq: int, now: float) -> None:
        """A hint named a seq whose text has to be fetched."""
        self._hear(epoch, seq)
        if self._top is not None and epoch == self._top.epoch and 0 < seq - self._top.seq <= self._max_gap:
            self._named.add(seq)
        self._settle(now)

    def lose(self, to: int, reason: str, now: float) -> None:
        """Declare that nothing up to `to` is coming in this epoch. No-op where the run is there already."""
        top = self._started()
        if to > top.seq:
            self._go_to(Position(top.epoch, to), reason, top.seq + 1, to)
            self._settle(now)

    def next_epoch(
        self,
        position: Position,
        now: float,
        *,
        lost: tuple[int, int] | None = None,
        reason: str | None = None,
    ) -> None:
        """Go on after `position`, in another epoch; the one before is finished and what still comes of it is a repeat.

        lost, reason: what of the old epoch is not coming, if anything.
        """
        top = self._started()
        if reason is None:
            self._move(position)
        else:
            self._go_to(position, reason, *(lost or (None, None)))
        self._forget(top.epoch)
        self._left = top.epoch if top.epoch != position.epoch else None
        self._settle(now)

    def forget(self, epoch: str) -> None:
        """That epoch is over, or was never ours to read: nothing of it is waited for."""
        self._forget(epoch)

    def take(self, limit: int = 1000) -> list[Release | Discontinuity]:
        """What can be released now, in order; the position moves past it."""
        taken: list[Release | Discontinuity] = []
        while self._ready and len(taken) < limit:
            item = self._ready.popleft()
            if isinstance(item, Discontinuity):
                self._position = item.resumed
                taken.append(item)
                continue
            self._ready_bytes -= _size(item)
            self._position = Position(item.epoch, item.seq)
            if isinstance(item, Release):
                taken.append(item)
        if not self._ready:
            self._position = self._top  # an epoch that ended without a loss has nothing to take at its border
        return taken

    # Inside

    def _started(self) -> Position:
        if self._top is None:
            raise ValueError("the merge was not started")
        return self._top

    def _hear(self, epoch: str, head: int) -> None:
        if epoch != self._left and head > self._heard.get(epoch, -1):
            self._heard[epoch] = head

    def _put(self, item: Item) -> None:
        top = self._top
        distance = 0  # before the start any seq may turn out to be near
        if top is not None:
            here = item.epoch == top.epoch
            if item.epoch == self._left or (here and item.seq <= top.seq):
                self.repeats_dropped += 1
                return
            if here and item.seq == top.seq + 1:
                self._put_next(item)
                return
            distance = item.seq - top.seq if here else item.seq
        self._hear(item.epoch, item.seq)
        if distance > self._max_gap:
            if top is not None and item.epoch == top.epoch:
                self._drop_buffer()  # what is so far away is paged for; keeping it would only fill the memory
            return
        waiting = self._above.setdefault(item.epoch, {})
        if item.seq in waiting:
            self.repeats_dropped += 1
        elif self._is_room(item):
            waiting[item.seq] = item
            self._above_bytes += _size(item)
        else:
            self._drop_buffer()

    def _put_next(self, item: Item) -> None:
        if not self._is_room(item):
            self._drop_buffer()
        if self.fits(item):
            self._push(item)
            self._drain()
        else:  # the consumer is slow: this one is paged for when there is room again
            self._hear(item.epoch, item.seq)
            self.put_off += 1

    def _is_room(self, item: Item) -> bool:
        return self.bytes + _size(item) <= self._max_bytes

    def _push(self, item: Item) -> None:
        self._ready.append(item)
        self._ready_bytes += _size(item)
        self._top = Position(item.epoch, item.seq)
        if self._named:
            self._named.discard(item.seq)
        if isinstance(item, Release):
            repaired = item.via != "live"
            self.gaps_repaired += repaired and not self._in_repair
            self._in_repair = repaired

    def _drain(self) -> None:
        """Move what has become contiguous from the buffer to the run."""
        top = self._top
        waiting = self._above.get(top.epoch) if top is not None and self._above else None
        if top is None or waiting is None:
            return
        seq = top.seq + 1
        while (item := waiting.pop(seq, None)) is not None:
            self._above_bytes -= _size(item)
            self._push(item)
            seq += 1
        if not waiting:
            del self._above[top.epoch]

    def _go_to(self, position: Position, reason: str, lost_from: int | None, lost_to: int | None) -> None:
        self._ready.append(Discontinuity(self._started(), position, reason, lost_from, lost_to))
        self._move(position)

    def _move(self, position: Position) -> None:
        self._top = position
        self._named.clear()
        self._discard_below(position)
        self._drain()

    def _discard_below(self, position: Position) -> None:
        waiting = self._above.get(position.epoch)
        if waiting is None:
            return
        for seq in [seq for seq in waiting if seq <= position.seq]:
            self._above_bytes -= _size(waiting.pop(seq))
            self.repeats_dropped += 1
        if not waiting:
            del self._above[position.epoch]

    def _forget(self, epoch: str) -> None:
        self._above_bytes -= sum(_size(item) for item in self._above.pop(epoch, {}).values())
        self._heard.pop(epoch, None)

    def _drop_buffer(self) -> None:
        if self._above:
            self.buffers_dropped += 1
        self._above.clear()
        self._above_bytes = 0

    def _settle(self, now: float) -> None:
        """Keep the time since when the run has stood at a hole."""
        if not self.behind:
            self._gap_since = None
        elif self._top is not None and (self._gap_since is None or self._gap_since[0] != self._top):
            self._gap_since = (self._top, now)
