"""Transport: a way from the journal to the subscribers. `dual` is both over one journal, not a third one."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, runtime_checkable

from migctl.status import TransportName, TransportState, TransportStatus

__all__ = ["Audience", "Table", "Transport", "TransportName", "TransportState", "TransportStatus"]


@runtime_checkable
class Transport(Protocol):
    """Follows the journal from its live head on and hands each event to the subscribers of this transport.

    At most once, in seq order: what is lost on the way is repaired by resume or from the table, never by the transport.
    """

    @property
    def name(self) -> TransportName: ...

    async def run(self) -> None:
        """Deliver until cancelled. Outages of the other side are survived; only a bug or a lost journal raises."""
        ...

    async def drain(self, timeout_s: float) -> int:
        """Let subscribers know that this end goes away; return how many were still attached after the timeout."""
        ...

    def state(self) -> TransportStatus:
        """Whether it reaches its subscribers, and why not. Costs next to nothing; `status` counts."""
        ...

    def status(self) -> TransportStatus: ...


class Table(Protocol):
    """The table as who writes it knows it: the relay."""

    @property
    def table_head(self) -> int:
        """Every seq up to it is a row or a tombstone. Each hint says it: so readers can tell *not there yet* from *never*."""
        ...

    def hurry(self) -> None:
        """Realtime was reached again, so the table may be back too: where it is waited for, ask it at once."""
        ...

    async def touch(self) -> datetime | None:
        """Change the row of heads, and nothing that it says, so that postgres_changes has something to bring.

        The row's `updated_at` by it. None where the table can't be asked within a second, and before an epoch was taken up.
        """
        ...


class Audience(Protocol):
    """Who is known to receive each hint."""

    def count_on_realtime(self) -> int: ...
