"""Dead letters: what waits for the operator, and what is done about it.

A dead letter is settled by a row under its own seq (retried), by the same event under another id (renewed), or by a person who says
that there will be no row (dismissed): then its tombstone, from which readers have got the event, stays for good. It is marked,
never deleted: who looks later sees what happened.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import msgspec

from migctl import clock
from migctl.errors import Poison, Refused
from migctl.events import Entry, Position
from migctl.events.ids import id_of_renewal
from migctl.journal import DeadLetter, Journal
from migctl.target import RetryTable
from migctl.telemetry import get_logger

Result = Literal["written", "repeated", "renewed", "dismissed", "refused", "taken", "gone"]

_log = get_logger("dead letters")


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one dead letter.

    written: it is a row now, and no tombstone; repeated: it was one before. renewed: it is in the journal again, as new_id at
    new_seq. dismissed: its tombstone stays; reason: why. refused: the table said no again, in `reason`. taken: another row has the
    id. gone: neither row nor tombstone is there.
    """

    result: Result
    reason: str | None = None
    new_id: str | None = None
    new_seq: int | None = None

    @property
    def settled(self) -> bool:
        return self.result in ("written", "repeated", "renewed", "dismissed")


class DeadLetters:
    """Of one journal that is open here. `waiting` and `by_code` are counted from `load` on; by_code: all there ever were."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.waiting = 0
        self.by_code: Counter[str] = Counter()

    async def load(self) -> None:
        self.waiting, by_code = await self._journal.count_dead_letters()
        self.by_code = Counter(by_code)

    async def record(self, letter: DeadLetter) -> bool:
        """Keep it. False where a run before this one did."""
        new = await self._journal.add_dead_letter(letter)
        if new:
            self.waiting += 1
            self.by_code[letter.code] += 1
        return new

    async def retry(self, letter: DeadLetter, table: RetryTable) -> Tried:
        """Write its row under its own seq, in the place of its tombstone.

        May be repeated after any error. Raises Transient, Systemic, and Refused for one that was dismissed.
        """
        if letter.outcome == "dismissed":
            raise Refused(
                f"seq {letter.position.seq} was dismissed by {letter.settled_by}: {letter.why}; its tombstone stays",
                do="`migctl deadletter retry --as-new` appends it as a new event",
            )
        try:
            found = await table.retry(letter.position, letter.event_id)
        except Poison as error:
            _log.warning("dead letter refused again", seq=letter.position.seq, epoch=letter.position.epoch,
                         id=letter.event_id, reason=error.what)  # fmt: skip
            return Tried("refused", getattr(error, "reason", error.what))
        if found == "no_tombstone":
            return Tried("gone")
        if found == "taken":
            return Tried("taken")
        await self._journal.settle_dead_letter(letter.position, "retried", clock.now())
        await self.load()
        _log.info("dead letter retried", seq=letter.position.seq, epoch=letter.position.epoch,
                  id=letter.event_id, result=found)  # fmt: skip
        return Tried(found)

    async def renew(self, letter: DeadLetter, table: RetryTable) -> Tried:
        """Append its event once more, at the journal's end and under a new id. Repeated, it is still one event.

        Raises Transient, Systemic, Conflict where the id is somebody's already.
        """
        entry = await self._entry(letter, table)
        if entry is None:
            return Tried("gone")
        old = entry.event
        event = msgspec.structs.replace(
            old, id=id_of_renewal(*letter.position), source_id=old.source_id or old.id
        )
        appended = await self._journal.append([event])
        await self._journal.settle_dead_letter(letter.position, "renewed", clock.now(), new_id=event.id)
        await self.load()
        seq = appended.seqs[0]
        _log.info("dead letter renewed", seq=letter.position.seq, epoch=letter.position.epoch,
                  id=letter.event_id, new_id=event.id, new_seq=seq)  # fmt: skip
        return Tried("renewed", new_id=event.id, new_seq=seq)

    async def dismiss(self, letter: DeadLetter, *, by: str, why: str) -> Tried:
        """Say that it will never be a row. Repeated, the first words stand. Raises Refused where it is settled otherwise."""
        if letter.outcome in ("retried", "renewed"):
            raise Refused(
                f"seq {letter.position.seq} is no matter of dismissing: it was {letter.outcome}",
                do="nothing: it waits for nobody",
            )
        if letter.outcome is None:
            await self._journal.settle_dead_letter(letter.position, "dismissed", clock.now(), by=by, why=why)
            await self.load()
            _log.info("dead letter dismissed", seq=letter.position.seq, epoch=letter.position.epoch,
                      id=letter.event_id, by=by, reason=why)  # fmt: skip
        return Tried("dismissed", letter.why or why)

    async def find(self, position: Position) -> DeadLetter | None:
        """The letter of this position."""
        letters = await self._journal.dead_letters(limit=-1)
        return next((letter for letter in letters if letter.position == position), None)

    async def _entry(self, letter: DeadLetter, table: RetryTable) -> Entry | None:
        """From the journal; from its tombstone where retention has let it go."""
        return await self._journal.get(letter.event_id) or await table.buried(letter.position)
