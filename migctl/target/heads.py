"""Heads: what the target knows of each epoch. One row an epoch, moved by one SQL function and never down.

Readers tell *not there yet* from *never* by it, and a journal finds in it who wrote this table before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from migctl.config import Target
from migctl.config.settings import TimeoutSection
from migctl.events import format_time, parse_time
from migctl.events.jsontext import dumps, loads
from migctl.journal import EpochInfo
from migctl.target import errors
from migctl.target.rest import PATIENT, Rest

_COLUMNS = "epoch,prev_epoch,lost_from,lost_to,writer_id,fence,started_at,table_tail,table_head,journal_head,updated_at"


@dataclass(frozen=True, slots=True)
class Head:
    """A row of monitoring_heads."""

    epoch: str
    prev_epoch: str | None
    lost_from: int | None
    lost_to: int | None
    writer_id: str
    fence: int
    started_at: datetime
    table_tail: int
    table_head: int
    journal_head: int
    updated_at: datetime


class Heads:
    """Reads and moves heads as service_role."""

    def __init__(self, target: Target, schema: str, timeouts: TimeoutSection = PATIENT) -> None:
        self._rest = Rest(target, schema, timeouts)
        self.name = f"{schema}.monitoring_heads"

    @property
    def timeout_s(self) -> float:
        """How long the last request was given."""
        return self._rest.timeout_s

    async def read(self) -> list[Head]:
        """All rows, the newest epoch first. Raises Transient or Systemic."""
        action = f"read {self.name}"
        body = await self._rest.get(
            action, f"monitoring_heads?select={_COLUMNS}&order=started_at.desc,updated_at.desc"
        )
        return _heads(action, body)

    async def move(
        self, epoch: EpochInfo, *, writer_id: str, table_head: int, journal_head: int, fence: int = 0
    ) -> Head:
        """Make the epoch's row, or move it up, and return it as it is then.

        Idempotent, and never down. Raises Fenced for a fence below the row's, Transient, Systemic.
        """
        action = f"move {self.name} of {epoch.epoch} to table_head {table_head}, journal_head {journal_head}"
        body = dumps(
            {
                "p_epoch": epoch.epoch,
                "p_writer_id": writer_id,
                "p_fence": fence,
                "p_table_head": table_head,
                "p_journal_head": journal_head,
                "p_prev_epoch": epoch.prev_epoch,
                "p_lost_from": epoch.lost_from,
                "p_lost_to": epoch.lost_to,
                "p_started_at": format_time(epoch.started_at),
            }
        )
        answer = await self._rest.post(
            action, "rpc/monitoring_move_head", body, prefer="return=representation"
        )
        moved = _heads(action, answer)
        if len(moved) != 1:
            raise errors.unreadable(action, answer)
        return moved[0]

    async def begin_at(self, epoch: EpochInfo, *, writer_id: str, tail: int) -> Head:
        """Make the epoch's row where it is not there, and let it begin at `tail`: what was before never comes to the table.

        Idempotent; changes nothing where the table has got further. Raises as `move` does.
        """
        await self.move(epoch, writer_id=writer_id, table_head=0, journal_head=0)
        action = f"let {epoch.epoch} begin at {tail} in {self.name}"
        body = dumps({"p_epoch": epoch.epoch, "p_table_tail": tail})
        answer = await self._rest.post(
            action, "rpc/monitoring_begin_at", body, prefer="return=representation"
        )
        begun = _heads(action, answer)
        if len(begun) != 1:
            raise errors.unreadable(action, answer)
        return begun[0]

    async def aclose(self) -> None:
        await self._rest.aclose()


def _heads(action: str, body: bytes) -> list[Head]:
    """Rows of an answer; a function that returns one row may answer with the object alone."""
    try:
        rows: Any = loads(body)
        return [_head(row) for row in (rows if isinstance(rows, list) else [rows])]
    except (ValueError, TypeError, KeyError):
        raise errors.unreadable(action, body) from None


def _head(row: dict[str, Any]) -> Head:
    fields = {name: row[name] for name in _COLUMNS.split(",")}
    for name in ("started_at", "updated_at"):
        fields[name] = parse_time(fields[name])
    return Head(**fields)
