"""Catch-up: what a reader of the tables asks for next, what of it is released, and what is declared lost. Pure: time is passed in.

A round begins with heads, read before anything else, so that what they promise must be seen when the tables are read after them.
`Round.next` is asked with what the merge has, again after each step that it answered, until it answers None: no more for now.

Pages, while the reader stands in an epoch that heads know:

| an epoch follows | the merge is missing | asked to the end | next                                                    |
|------------------|----------------------|------------------|---------------------------------------------------------|
| no               | nothing              | no               | nothing more in this epoch                              |
| no               | nothing              | yes              | ask for the last seq, once; then it may be missing      |
| no               | a run of seqs        | no               | read up to its end, which hints may move meanwhile      |
| no               | a run of seqs        | yes              | the same, until all is here that was known at the start |
| yes              | whatever it is       | either           | read on, up to an empty page                            |

A short page proves nothing, since a project may cap rows; and where events come quicker than answers the newest epoch has no empty
one. So its last seq is asked for once, and what comes after is left to hints and to the next round.

Tombstones are read before rows, unless some that were read are still ahead. A page that brings the run to its last item is followed
by the next one. Else the seq after the run is not there, which by `judge_hole` means:

| heads say | nothing is known above it | something is, in doubt | something is, beyond doubt                 |
|-----------|---------------------------|------------------------|--------------------------------------------|
| not_yet   | stop                      | stop                   | stop                                       |
| pruned    | stop                      | lost up to the tail    | lost up to the tail                        |
| broken    | stop                      | stop                   | lost up to what is there, at most the head |

Beyond doubt it is at the third probe in a row, once they have lasted for `patience_s`: a target that went back in time is in order
again once the relay has compared. Of holes that follow each other closely only the first is doubted for so long.

At the end of an epoch, or where heads don't know it:

| its epoch    | a follower in heads                   | of its table                    | next                                  |
|--------------|---------------------------------------|---------------------------------|---------------------------------------|
| not in heads | heads are empty                       | -                               | stop                                  |
| not in heads | heads have others                     | -                               | stop; after `patience_s` the newest   |
| known        | none                                  | -                               | stop                                  |
| known        | none, and the newest is not before it | -                               | stop; after `patience_s` that one     |
| known        | yes                                   | its end was not seen            | stop                                  |
| known        | yes                                   | its writer still owes something | stop; after `patience_s` as below     |
| known        | yes                                   | a row lies above a hole         | the hole is lost; decide again        |
| known        | yes                                   | something above it is lost      | the follower, with that loss          |
| known        | yes                                   | all is there                    | the follower                          |
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from migctl.events import Position
from migctl.subscriber.core.merge import Item, Merge
from migctl.subscriber.core.pages import merged
from migctl.target.chain import Head, elsewhere, fate, following, newest

PROBES = 3
# An epoch that was left may still be written to its end by the relay; after this time what is missing of it is lost.
PATIENCE_S = 30.0


class Stand(msgspec.Struct, frozen=True):
    """What the merge has. missing: the first run that is not there; heard: the highest seq known to exist in this epoch."""

    top: Position
    missing: tuple[int, int] | None
    heard: int


def stand_of(merge: Merge) -> Stand | None:
    """None before the merge was started."""
    return None if merge.top is None else Stand(merge.top, merge.missing(), merge.heard)


class Hear(msgspec.Struct, frozen=True):
    """Heads say that these epochs go so far."""

    heads: tuple[tuple[str, int], ...]


class ReadTombstones(msgspec.Struct, frozen=True):
    """Answer with `Round.tombstones`."""

    epoch: str
    after: int


class ReadRows(msgspec.Struct, frozen=True):
    """Answer with `Round.rows`. upto: the last seq that is wanted."""

    epoch: str
    after: int
    upto: int | None


class AskLast(msgspec.Struct, frozen=True):
    """Answer with `Round.last`."""

    epoch: str
    after: int


class Take(msgspec.Struct, frozen=True):
    """Put these into the merge."""

    items: tuple[Item, ...]


class Lose(msgspec.Struct, frozen=True):
    """Nothing up to `to` is coming in this epoch."""

    to: int
    reason: str


class GoOn(msgspec.Struct, frozen=True):
    """Go on after `position`, in another epoch. lost, reason: as of Merge.next_epoch."""

    position: Position
    lost: tuple[int, int] | None = None
    reason: str | None = None


Step = Hear | AskLast | ReadTombstones | ReadRows | Take | Lose | GoOn


def judge_hole(stand: Stand, head: Head, *, beyond_doubt: bool) -> Lose | None:
    """What becomes of the seq after the run, which the tables did not have."""
    what = fate(stand.top.seq + 1, head)
    if what == "not_yet" or stand.missing is None:
        return None
    if what == "pruned":
        return Lose(min(stand.missing[1], head.table_tail - 1), what)
    return Lose(min(stand.missing[1], head.table_head), what) if beyond_doubt else None


class Attention:
    """For how long somebody asks, in seconds: what a doubt is measured by. `begun` says it, at the beginning of each round.

    While the tables were away, or this process stood still, nobody could have ended a doubt; so a pause counts for so much at most.
    """

    MOST_S = 10.0

    def __init__(self, now: float) -> None:
        self._last = now
        self._s = 0.0

    def begun(self, now: float) -> float:
        """Heads were read just now."""
        self._s += min(now - self._last, self.MOST_S)
        self._last = now
        return self._s


class Memory:
    """What one reader keeps from round to round. patience_s: how long a doubt may last before what is in doubt is lost."""

    def __init__(self, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._hole: tuple[Position, int, float] | None = None
        self._doubt: tuple[str, str, float] | None = None
        self._gave_up_at = float("-inf")

    def probed(self, top: Position, now: float, *, broken: bool) -> bool:
        """The seq after `top` is not there. Whether that is beyond doubt, against what heads say."""
        if not broken:
            self._hole = None
            return False
        if self._hole is None or self._hole[0] != top:
            is_next = now - self._gave_up_at < self._patience_s
            self._hole = (top, 0, float("-inf") if is_next else now)
        _, probes, since = self._hole
        self._hole = (top, probes + 1, since)
        if probes + 1 < PROBES or now - since < self._patience_s:
            return False
        self._gave_up_at = now
        return True

    def waited_long(self, why: str, epoch: str, now: float) -> bool:
        """The same doubt has lasted for too long."""
        if self._doubt is None or self._doubt[:2] != (why, epoch):
            self._doubt = (why, epoch, now)
        return now - self._doubt[2] >= self._patience_s


class Round:
    """From one reading of heads to the end of what is there. to_the_end: also what nobody told of, as it is once it is asked."""

    def __init__(self, memory: Memory, heads: Sequence[Head], *, to_the_end: bool = False) -> None:
        self._memory = memory
        self._heads = heads
        self._by_epoch = {head.epoch: head for head in heads}
        self._to_the_end = to_the_end
        self._epoch: str | None = None
        self._enter(None)

    def _enter(self, epoch: str | None) -> None:
        self._epoch = epoch
        self._left = False  # this epoch's tables are read as far as can be
        self._ended = False  # the last page was empty
        self._last: int | None = None  # what was answered; None where it was not asked for
        self._goal: int | None = None  # where all is here that was known then
        self._tombstones: Sequence[Item] = ()
        self._more_tombstones = True
        self._rows: Sequence[Item] | None = None
        self._upto: int | None = None  # the last seq that rows were asked for
        self._taken: int | None = (
            None  # the last seq of a page that was handed out, and has to be the top now
        )

    def last(self, seq: int | None) -> None:
        """The highest seq that either table has after the one that was named; None where they have none."""
        self._last = seq or 0

    def tombstones(self, items: Sequence[Item]) -> None:
        self._tombstones, self._more_tombstones = items, bool(items)

    def rows(self, items: Sequence[Item]) -> None:
        self._rows = items

    def next(self, stand: Stand, now: float) -> Step | None:
        """The next step, or None where this round is over."""
        head = self._by_epoch.get(stand.top.epoch)
        if head is None:
            return self._unknown(stand, now)
        after = following(head.epoch, self._heads)
        if self._epoch != head.epoch:
            self._enter(head.epoch)
            known = [(head.epoch, max(head.journal_head, head.table_head))]
            return Hear((*known, (after.epoch, after.journal_head)) if after is not None else (*known,))
        if not self._left:
            step = self._page(stand, head, now, followed=after is not None)
            if step is not None:
                return step
            self._left = True
        return self._elsewhere(head.epoch, now) if after is None else self._finish(stand, head, after, now)

    def _page(self, stand: Stand, head: Head, now: float, *, followed: bool) -> Step | None:
        """None where nothing is missing, or what is missing can't be had now. followed: another epoch comes after this one."""
        if self._rows is not None:
            rows, self._rows = self._rows, None
            # Of what lies above the rows that were asked for nothing is known yet: a row there would win over its tombstone.
            known = [item for item in self._tombstones if self._upto is None or item.seq <= self._upto]
            items, self._ended = merged(rows, known)
            self._taken = items[-1].seq if items else None
            if items:
                return Take(tuple(items))
            return self._hole(stand, head, now)
        if self._taken is not None:
            taken, self._taken = self._taken, None
            if stand.top.seq < taken:
                return self._hole(stand, head, now)
        if not followed:
            if self._to_the_end and self._goal is None:
                return self._find_goal(stand, head.epoch)
            if stand.missing is None or (self._goal is not None and stand.top.seq >= self._goal):
                return None
        self._tombstones = [item for item in self._tombstones if item.seq > stand.top.seq]
        if not self._tombstones and self._more_tombstones:
            return ReadTombstones(head.epoch, stand.top.seq)
        self._upto = None if stand.missing is None or followed else stand.missing[1]
        return ReadRows(head.epoch, stand.top.seq, self._upto)

    def _find_goal(self, stand: Stand, epoch: str) -> AskLast | Hear:
        if self._last is None:
            return AskLast(epoch, stand.top.seq)
        self._goal = max(self._last, stand.heard)
        return Hear(((epoch, self._last),))

    def _hole(self, stand: Stand, head: Head, now: float) -> Lose | None:
        broken = stand.missing is not None and fate(stand.top.seq + 1, head) == "broken"
        return judge_hole(stand, head, beyond_doubt=self._memory.probed(stand.top, now, broken=broken))

    def _finish(self, stand: Stand, head: Head, after: Head, now: float) -> Lose | GoOn | None:
        """On to the next epoch once this one's table is at its end. None where the relay still owes something."""
        top, missing = stand.top, stand.missing
        final = head.journal_head if after.lost_from is None else after.lost_from - 1
        if not self._ended or (
            top.seq < final and not self._memory.waited_long("unfinished", top.epoch, now)
        ):
            return None
        if missing is not None and missing[1] < stand.heard:
            return Lose(missing[1], "lost")  # a row above the hole is there, and is delivered
        lost_to = max(stand.heard, after.lost_to or 0)
        if lost_to > top.seq:
            return GoOn(Position(after.epoch, 0), (top.seq + 1, lost_to), "lost")
        return GoOn(Position(after.epoch, 0))

    def _unknown(self, stand: Stand, now: float) -> GoOn | None:
        """Heads know nothing of our epoch. Its row may be about to be made; if it never is, on with what there is."""
        head = newest(self._heads)
        if head is None or not self._memory.waited_long("unknown", stand.top.epoch, now):
            return None
        return GoOn(Position(head.epoch, head.table_tail - 1), reason="epoch")

    def _elsewhere(self, epoch: str, now: float) -> GoOn | None:
        """No chain of epochs leads on from here, and yet there is a newer one: after a while, there."""
        head = elsewhere(epoch, self._heads)
        if head is None or not self._memory.waited_long("unlinked", epoch, now):
            return None
        return GoOn(Position(head.epoch, head.table_tail - 1), reason="epoch")

    def ancestors(self, epoch: str) -> list[str]:
        """The epochs before this one: a late hint of one of them is no reason to read again."""
        found: list[str] = []
        head = self._by_epoch.get(epoch)
        while head is not None and head.prev_epoch is not None and head.prev_epoch not in {epoch, *found}:
            found.append(head.prev_epoch)
            head = self._by_epoch.get(head.prev_epoch)
        return found
