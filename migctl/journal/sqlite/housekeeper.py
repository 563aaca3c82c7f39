"""Housekeeper: lets go what may go, in small paced steps of the writer, and notices when there is no room.

Without it nothing bounds the journal, so it never ends by itself: what it can't do now it tries again, and where it can't measure
the room, no events are taken. An error of ours in it ends the journal.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from migctl.clock import mono, now
from migctl.events.times import micros_of
from migctl.journal.errors import JournalStalled
from migctl.journal.sqlite.forecast import SAMPLE_CHECKS, Forecast, Others
from migctl.journal.sqlite.outlook import Outlook
from migctl.journal.sqlite.reserve import Reserve
from migctl.journal.sqlite.retention import STEP_PAUSE_S, Keep, Trimmed, trim, why_full
from migctl.telemetry import get_logger

MAKE_ROOM = (
    "make room on the disk, or raise journal.max_bytes; `migctl journal status` says what holds events back"
)

_log = get_logger("journal")


class Housekeeper:
    """Of one open journal; `run` until cancelled. `full` says why no events are to be taken now, or is None.

    forecast: what is full first, and when; None for never, and before it was measured. keep: may be changed at any time.

    reserve: is kept again once there is room.
    operate: runs work in the writer's next transaction. trimmed: is given the new tails, by the epoch's ordinal.
    """

    def __init__(
        self,
        keep: Keep,
        *,
        operate: Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]],
        measure: Callable[[], Awaitable[Outlook]],
        trimmed: Callable[[dict[int, int]], None],
        reserve: Reserve,
    ) -> None:
        self._reserve = reserve
        self._others = Others(SAMPLE_CHECKS * keep.check_every_s)
        self.full = reserve.full
        self.forecast: Forecast | None = None
        self.keep = keep
        self._operate = operate
        self._measure = measure
        self._trimmed = trimmed

    async def run(self) -> None:
        while True:
            more = await self._step()
            try:
                outlook = await self._measure()
            except OSError as error:
                self._judge(f"the room on the journal's disk can't be measured: {error}")
            else:
                self._others.measured(outlook.space, mono())
                self.forecast = outlook.forecast(self.keep, self._others.per_s)
                self._reserve.keep()
                self._judge(why_full(outlook.space, self.keep) or self._reserve.full)
            await asyncio.sleep(STEP_PAUSE_S if more else self.keep.check_every_s)

    async def _step(self) -> bool:
        try:
            trimmed: Trimmed = await self._operate(
                lambda database: trim(database, self.keep, micros_of(now()))
            )
        except JournalStalled as error:  # deleting needs a little room too: it is tried again
            _log.debug("not trimmed", reason=error.what)
            return False
        if trimmed.events:
            self._trimmed(trimmed.tails)
            _log.debug("trimmed", events=trimmed.events, tails=trimmed.tails)
        return trimmed.more

    def _judge(self, full: str | None) -> None:
        if (full is None) != (self.full is None):
            if full is None:
                _log.info("journal has room again")
            else:
                _log.error("journal full", reason=full, do=MAKE_ROOM)
        self.full = full
