"""Waiting for the journal's failure leaves the journal alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

from migctl.journal.sqlite import SqliteJournal
from tests.kit.entries import event


async def test_who_waits_for_a_failure_and_is_cancelled_does_not_end_the_writer(tmp_path: Path) -> None:
    journal = await SqliteJournal.open(tmp_path / "journal.db")
    waiting = asyncio.ensure_future(journal.failure())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    async with asyncio.timeout(10):
        assert (await journal.append([event()])).last_seq == 1
    await journal.aclose()
