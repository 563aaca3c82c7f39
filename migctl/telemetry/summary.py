"""Summary: `Minutely` with a clock and a logger; what a room that carries events keeps beside its work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from migctl import clock
from migctl.telemetry.logs import Logger
from migctl.telemetry.minutely import EVERY_S, Minutely

# How late a line may be.
_DUE_EVERY_S = 5.0


class Summary:
    """Of one room. event: what the line says, such as "batches written". position: what it says of where the work stands."""

    def __init__(
        self,
        log: Logger,
        event: str,
        *,
        position: Callable[[], Mapping[str, object]] = lambda: {},
        every_s: float = EVERY_S,
    ) -> None:
        self._log = log
        self._event = event
        self._position = position
        self._minutely = Minutely(every_s)

    def carried(self, *, took_s: float, **counts: int) -> None:
        """One batch is through; the names of the counts are the same each time."""
        self._line(self._minutely.carried(clock.mono(), took_s=took_s, **counts))

    async def run(self) -> None:
        """Until cancelled: so that the last line before a silence is not late. At the end the rest is logged."""
        try:
            while True:
                await asyncio.sleep(_DUE_EVERY_S)
                self._line(self._minutely.due(clock.mono()))
        finally:
            self.end()

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """`run` for the length of the block."""
        task = asyncio.create_task(self.run(), name="summary")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    def end(self) -> None:
        """Log what is held."""
        self._line(self._minutely.rest())

    def _line(self, fields: dict[str, float] | None) -> None:
        if fields is not None:
            self._log.info(self._event, **fields, **self._position())
