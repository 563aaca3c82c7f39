"""Blame: whose fault it is that the table refused. An event is blamed only alone, and only while the table can be read right after.

Nothing is buried without a `Blamed`, and this is the one place that makes one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from migctl.errors import Poison
from migctl.events import Entry
from migctl.target import Written


class Table(Protocol):
    """Where events are written to, and whether it can be read; as of `TableWriter`."""

    async def write(self, entries: Sequence[Entry]) -> Written: ...

    async def probe(self) -> None: ...


class Blamed(Poison):
    """The table refused this one event, and answered a read after that: it is the event, not the table.

    code: as PostgreSQL or HTTP numbers it, empty where they said none.
    """

    def __init__(self, entry: Entry, error: Poison) -> None:
        super().__init__(error.what, do=error.do)
        self.entry = entry
        self.code = str(getattr(error, "code", ""))
        self.reason = str(getattr(error, "reason", error.what))


async def write_or_blame(table: Table, entries: Sequence[Entry]) -> Written:
    """Write a batch once.

    Raises Blamed for a batch of one; Poison where some of several is refused, so that each half is tried; Transient or Systemic,
    also where it is the probe that fails: then nothing is known of the event, and it is written again.
    """
    try:
        return await table.write(entries)
    except Poison as error:
        if len(entries) > 1:
            raise
        await table.probe()
        raise Blamed(entries[0], error) from error
