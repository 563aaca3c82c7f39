"""A dead letter at the target: its tombstone read, and its row written in the tombstone's place, both or neither.

One SQL function does it in one transaction, so at any moment a reader finds the row or the tombstone.
"""

from __future__ import annotations

from typing import Any, Literal, cast

from migctl.config import Target
from migctl.events import Entry, Position, decode_event, parse_time
from migctl.events.jsontext import loads
from migctl.target import errors
from migctl.target.rest import Rest
from migctl.target.table import EVENTS, TOMBSTONES, row_values

# written: the row is new, and the tombstone gone. repeated: an earlier call did it, and its answer was lost.
# taken: another row has the id. no_tombstone: neither is there: pruned, or another target.
Found = Literal["written", "repeated", "taken", "no_tombstone"]
_FOUND = ("written", "repeated", "taken", "no_tombstone")


class RetryTable:
    """Works as service_role on the tables of one schema. name: of the table, for messages."""

    def __init__(self, target: Target, schema: str) -> None:
        self._rest = Rest(target, schema)
        self.name = f"{schema}.{EVENTS}"

    async def buried(self, position: Position) -> Entry | None:
        """The event of a tombstone, as it was journaled; None where there is no tombstone. Raises Transient, Systemic."""
        action = f"read the tombstone of {_place(position)} beside {self.name}"
        query = f"{TOMBSTONES}?select=event,committed_at&epoch=eq.{position.epoch}&seq=eq.{position.seq}"
        for row in self._rows(action, await self._rest.get(action, query)):
            if row.get("event") is None:
                return None
            committed_at = parse_time(row["committed_at"])
            event = decode_event(
                row["event"].encode(), arrived=committed_at, default_source="", allow_control=True
            )
            return Entry(event=event, epoch=position.epoch, seq=position.seq, committed_at=committed_at)
        return None

    async def retry(self, position: Position, event_id: str) -> Found:
        """Write the row of a buried event under its own seq. Idempotent.

        Raises Poison where the table refuses it again (nothing was changed then), Transient (nothing is known), Systemic.
        """
        entry = await self.buried(position)
        if entry is None:
            return await self._without_tombstone(position, event_id)
        action = f"write {_place(position)} (event {event_id}) to {self.name}"
        answer = await self._rest.post(
            action, "rpc/monitoring_retry", _arguments(entry), prefer="return=representation"
        )
        try:
            found = loads(answer)
        except ValueError:
            found = None
        if found not in _FOUND:
            raise errors.unreadable(action, answer)
        return cast(Found, found)

    async def _without_tombstone(self, position: Position, event_id: str) -> Found:
        action = f"look for event {event_id} in {self.name}"
        body = await self._rest.get(action, f"{EVENTS}?select=epoch,seq&id=eq.{event_id}")
        for row in self._rows(action, body):
            return "repeated" if (row["epoch"], row["seq"]) == position else "taken"
        return "no_tombstone"

    def _rows(self, action: str, body: bytes) -> list[dict[str, Any]]:
        try:
            rows = loads(body)
        except ValueError:
            rows = None
        if not isinstance(rows, list):
            raise errors.unreadable(action, body)
        return rows

    async def aclose(self) -> None:
        await self._rest.aclose()


def _arguments(entry: Entry) -> bytes:
    """The function's arguments, with the journal's text of `data` spliced in."""
    return (
        b'{"p_id":"%b","p_event_type":%b,"p_timestamp":"%b","p_data":%b,"p_source":%b,"p_epoch":%b,"p_seq":%d,'
        b'"p_committed_at":"%b"}' % row_values(entry)
    )


def _place(position: Position) -> str:
    return f"seq {position.seq} of {position.epoch}"
