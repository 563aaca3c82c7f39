"""Touching: moves the row of heads of the epoch that is carried to where it is, so that the database has a change to tell of.

For the canary of postgres_changes. It has a client of its own: neither its requests nor its timeouts are those of announcing, and
what fails here is no failure of the table.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

from migctl.errors import MigctlError
from migctl.journal import EpochInfo
from migctl.target import Heads

WITHIN_S = 1.0


class Touch:
    """heads: nobody else's."""

    def __init__(self, heads: Heads, writer_id: str) -> None:
        self._heads = heads
        self._writer_id = writer_id

    async def touch(self, epoch: EpochInfo) -> datetime | None:
        """The row's `updated_at` by this touch; None where there was no answer within WITHIN_S, or a refusal.

        Heads of 0 leave those of the row as they are, also where a target went back in time and they were lowered.
        """
        try:
            async with asyncio.timeout(WITHIN_S):
                head = await self._heads.move(epoch, writer_id=self._writer_id, table_head=0, journal_head=0)
        except (MigctlError, TimeoutError):
            return None
        return head.updated_at

    async def aclose(self) -> None:
        await self._heads.aclose()
