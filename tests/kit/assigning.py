"""A flag that says the same to everybody, and flags that a test raises and lowers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from migctl.flags.assignment import Assigned
from migctl.flags.disk import ProcessesFile
from migctl.flags.holder import Holder
from migctl.flags.registration import Registration
from migctl.flags.service import FlagService
from migctl.flags.shares import EVERYTHING, Shares
from migctl.flags.snapshot import Brake, Row, Snapshot
from migctl.runtime.flags import TRANSPORT
from migctl.transports import TransportName
from tests.unit.flags.test_shares import document


def everybody(transport: TransportName) -> Callable[[str], Assigned]:
    return lambda _: Assigned(transport, "STATIC", 1)


class HeldFlags:
    """Flags of a process that reached its record, with all else away: what they say is set by hand, as a person may."""

    def __init__(self) -> None:
        self._n = 0
        self._holder = Holder(TRANSPORT, "test", None, blind=False)
        self.service = FlagService(self._holder, Registration(None, "process", "test", ProcessesFile(Path())))

    async def share(self, percent: float, *, n: int | None = None, lifts: tuple[str, ...] = ()) -> int:
        """A newer flag set, or one of that number; its number."""
        self._n = self._n + 1 if n is None else n
        split = Shares(TRANSPORT.opened, TRANSPORT.otherwise, percent=percent)
        row = Row(n=self._n, id=f"row-{self._n}", document=document(split), lifts=lifts)
        await self._holder.hear(Snapshot(target="test").with_row(row))
        return self._n

    async def brake(self, name: str = "b1") -> None:
        """Nobody, from now on."""
        brake = Brake(id=name, flag=TRANSPORT.flag, max_percent=0, split=EVERYTHING)
        await self._holder.hear(Snapshot(target="test").with_brake(brake))
