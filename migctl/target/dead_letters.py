"""A dead letter at the target: its tombstone read, and its row written in the tombstone's place, both or neither.

One SQL function does it in one transaction, so at any moment a reader finds the row or the tombstone.
"""

from __future__ import annotations

from migctl.config import Target
from migctl.events import Entry, Position
from migctl.target import answers, schema
from migctl.target.answers import Found
from migctl.target.rest import LARGE_BYTES, Rest
from migctl.target.table import of_epoch, row_values

# The function's arguments, with the journal's text of `data` spliced in.
_ARGUMENTS = schema.template(schema.ROW, prefix="p_")


class RetryTable:
    """Works as service_role on the tables of one schema. name: of the table, for messages."""

    def __init__(self, target: Target, schema_name: str) -> None:
        self._rest = Rest(target, schema_name)
        self.name = f"{schema_name}.{schema.EVENTS}"

    async def buried(self, position: Position) -> Entry | None:
        """The event of a tombstone, as it was journaled; None where there is no tombstone. Raises Transient, Systemic."""
        action = f"read the tombstone of {_place(position)} beside {self.name}"
        query = f"{schema.TOMBSTONES}?select={schema.columns(schema.BURIED)}&{of_epoch(position.epoch)}&seq=eq.{position.seq}"
        found = answers.buried(action, await self._rest.get(action, query, most_bytes=LARGE_BYTES))
        if found is None:
            return None
        event, committed_at = found
        return Entry(event=event, epoch=position.epoch, seq=position.seq, committed_at=committed_at)

    async def retry(self, position: Position, event_id: str) -> Found:
        """Write the row of a buried event under its own seq. Idempotent.

        Raises Poison where the table refuses it again (nothing was changed then), Transient (nothing is known), Systemic.
        """
        entry = await self.buried(position)
        if entry is None:
            return await self._without_tombstone(position, event_id)
        action = f"write {_place(position)} (event {event_id}) to {self.name}"
        answer = await self._rest.post(
            action, schema.RETRY, _ARGUMENTS % row_values(entry), prefer="return=representation", blames=True
        )
        return answers.found(action, answer)

    async def _without_tombstone(self, position: Position, event_id: str) -> Found:
        action = f"look for event {event_id} in {self.name}"
        body = await self._rest.get(action, f"{schema.EVENTS}?select=epoch,seq&id=eq.{event_id}")
        found = answers.position_of(action, body)
        if found is None:
            return "no_tombstone"
        return "repeated" if found == position else "taken"

    async def aclose(self) -> None:
        await self._rest.aclose()


def _place(position: Position) -> str:
    return f"seq {position.seq} of {position.epoch}"
