"""Places of one event in the target: its rows and tombstones, read back by its id or its position."""

from __future__ import annotations

from datetime import datetime

import msgspec

from migctl.config import Target
from migctl.events import Position
from migctl.target import answers, schema
from migctl.target.rest import Patience, Rest
from migctl.target.table import of_epoch

# Whoever asks waits in front of a page.
SOON = Patience(initial_s=3.0, min_s=3.0, max_s=3.0)
_FEW = 20


class Place(msgspec.Struct, frozen=True):
    """reason: of a tombstone; None for a row. epoch, seq: None in rows from before there was a journal. created_at: UTC."""

    id: str
    epoch: str | None
    seq: int | None
    created_at: datetime
    reason: str | None = None


class _Row(msgspec.Struct, frozen=True):
    """A Place before its time is read."""

    id: str
    epoch: str | None
    seq: int | None
    created_at: str
    reason: str | None = None


class Places:
    """Reads as service_role."""

    def __init__(self, target: Target, schema_name: str) -> None:
        self._rest = Rest(target, schema_name, SOON)

    async def of_id(self, event_id: str) -> list[Place]:
        """Raises Transient, Systemic."""
        return await self._read(f"event {event_id}", f"id=eq.{event_id}")

    async def at(self, position: Position) -> list[Place]:
        """Raises Transient, Systemic."""
        return await self._read(
            f"seq {position.seq} of {position.epoch}", f"{of_epoch(position.epoch)}&seq=eq.{position.seq}"
        )

    async def _read(self, what: str, where: str) -> list[Place]:
        found: list[Place] = []
        for table, columns in ((schema.EVENTS, schema.PLACE), (schema.TOMBSTONES, schema.PLACE_BURIED)):
            action = f"read {what} from {table}"
            query = f"{table}?select={schema.columns(columns)}&{where}&limit={_FEW}"
            for row in answers.typed(action, await self._rest.get(action, query), list[_Row]):
                at = answers.moment(action, row.created_at)
                found.append(Place(row.id, row.epoch, row.seq, at, row.reason))
        return found

    async def aclose(self) -> None:
        await self._rest.aclose()
