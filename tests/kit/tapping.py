"""A tap that runs into a journal, as `serve` has one beside an old service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from migctl.ingest import parse_map
from migctl.ingest.rejected import Rejected
from migctl.ingest.tap import TapSource
from migctl.ingest.tapped import Tapped
from migctl.journal import Journal
from tests.kit.conditions import until


@asynccontextmanager
async def tapping(
    journal: Journal, url: str, folder: Path, tapped: Tapped | None = None, *, waits: bool = True
) -> AsyncIterator[TapSource]:
    """waits: until it is connected. tapped: what comes by it, for somebody who asks."""
    mapper = parse_map([], ignore=["initial_stats,stats"])
    tap = TapSource(url, mapper=mapper, rejected=Rejected(folder / "rejected.ndjson"), state_dir=folder)
    tap.tapped = tapped or tap.tapped
    task = asyncio.create_task(tap.run(journal))
    try:
        if waits:
            await until(lambda: tap.status().state == "connected")
        yield tap
    finally:
        task.cancel()
        await asyncio.wait([task])
