"""The live edge of the journal in memory: what was committed last, so that those who follow needn't read the disk."""

from __future__ import annotations

from collections import deque

from migctl.events import Entry
from migctl.events.times import from_micros
from migctl.journal.sqlite.writer import Group


class Recent:
    """Contiguous groups up to the head, bounded by events and bytes."""

    def __init__(self, epoch: str, *, max_events: int = 20_000, max_bytes: int = 32 << 20) -> None:
        self._epoch = epoch
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._groups: deque[tuple[list[Entry], int]] = deque()
        self._events = 0
        self._bytes = 0

    def add(self, group: Group) -> None:
        """Take in a committed group."""
        committed_at = from_micros(group.committed_us)
        epoch = self._epoch
        entries = [
            Entry(event, epoch, seq, committed_at) for seq, event in enumerate(group.events, group.first_seq)
        ]
        size = sum(len(event.data) for event in group.events)
        self._groups.append((entries, size))
        self._events += len(entries)
        self._bytes += size
        while len(self._groups) > 1 and (self._events > self._max_events or self._bytes > self._max_bytes):
            old, old_size = self._groups.popleft()
            self._events -= len(old)
            self._bytes -= old_size

    def after(self, seq: int, limit: int, max_bytes: int) -> list[Entry] | None:
        """Entries after `seq`, or None where the first of them is no longer here."""
        if not self._groups or self._groups[0][0][0].seq > seq + 1:
            return None
        found: list[Entry] = []
        size = 0
        start = len(self._groups)
        while start and self._groups[start - 1][0][-1].seq > seq:
            start -= 1
        for index in range(start, len(self._groups)):
            for entry in self._groups[index][0]:
                if entry.seq <= seq:
                    continue
                size += len(entry.event.data)
                if found and (len(found) >= limit or size > max_bytes):
                    return found
                found.append(entry)
        return found
