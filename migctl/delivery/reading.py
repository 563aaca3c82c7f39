"""Reading on: the events that wait for the table, as far as they are in memory, each with its class and size."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from migctl.delivery.batches import Batch, Rules, Waiting
from migctl.delivery.classes import Classifier
from migctl.errors import Refused
from migctl.events import Entry
from migctl.journal import Log
from migctl.target import row_bytes


class Reader:
    """Of one relay. Holds two full requests at most; the rest stays in the journal. waiting: in seq order, to form batches of."""

    def __init__(self, journal: Log, rules: Rules, classifier: Classifier) -> None:
        self.waiting: deque[Waiting] = deque()
        self.epoch = journal.epoch
        self.read_to = 0
        self._journal = journal
        self._rules = rules
        self._classifier = classifier
        self._entries: deque[Entry] = deque()
        self._bytes = 0

    @property
    def oldest(self) -> datetime | None:
        """When the first that waits was committed."""
        return self._entries[0].committed_at if self._entries else None

    def follow(self, rules: Rules) -> None:
        """Read by these from now on."""
        self._rules = rules

    def begin(self, epoch: str, after: int) -> None:
        """Go on in this epoch, after this seq. Nothing may wait from before."""
        assert not self._entries
        self.epoch, self.read_to = epoch, after

    def forget(self) -> None:
        """What waits is not carried from here: the relay goes back, and reads it again."""
        self.waiting.clear()
        self._entries.clear()
        self._bytes = 0

    async def read_on(self, goal: int) -> None:
        """Read until two full requests wait, or all up to `goal`. Raises Refused where the journal has a hole."""
        while (
            goal > self.read_to
            and len(self._entries) < 2 * self._rules.backlog_max_events
            and self._bytes < 2 * self._rules.max_bytes
        ):
            entries = await self._journal.read(
                self.read_to, epoch=self.epoch, max_bytes=self._rules.max_bytes
            )
            if not entries or entries[0].seq != self.read_to + 1:
                raise Refused(
                    f"the journal has no seq {self.read_to + 1} of epoch {self.epoch}, and it was not relayed",
                    do="bring back a copy of the journal that has it; the table would have a hole",
                )
            for entry in entries:
                self._add(entry)

    def take(self, batch: Batch) -> list[Entry]:
        """The batch's events, which no longer wait then."""
        for _ in range(batch.count):
            self._bytes -= self.waiting.popleft().size
        return [self._entries.popleft() for _ in range(batch.count)]

    def _add(self, entry: Entry) -> None:
        at = entry.committed_at.timestamp()
        size = row_bytes(entry)
        self._entries.append(entry)
        self.waiting.append(Waiting(self._classifier.observe(entry.event.event_type, at), size, at))
        self._bytes += size
        self.read_to = entry.seq
