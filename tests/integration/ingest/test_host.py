"""The host's metrics into a real journal."""

from __future__ import annotations

import asyncio
import json
import platform
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from migctl import clock
from migctl.ingest import open_source
from migctl.ingest.host import RATES
from tests.integration.ingest.conftest import Refusing
from tests.kit.conditions import until


async def test_every_kind_of_metric_comes_with_its_moment_and_this_host_as_source(
    tmp_path: Path, journal: Refusing
) -> None:
    began = clock.now()
    source = open_source("host", state_dir=tmp_path, rate=1000.0)
    task = asyncio.create_task(source.run(journal))
    await until(lambda: set(source.status().by_event_type) == set(RATES))
    await until(lambda: journal.head > 300)
    task.cancel()
    await asyncio.wait([task])
    events = [entry.event for entry in await journal.read(0, limit=100_000)]
    assert {event.event_type for event in events} == set(RATES)
    assert {event.source for event in events} == {platform.node()}
    assert all(event.clock is None and event.id[14] == "7" for event in events)
    assert all(began - timedelta(seconds=1) <= event.timestamp <= clock.now() for event in events)
    busy = [
        json.loads(event.data)["context_switches"] for event in events if event.event_type == "cpu_metrics"
    ]
    assert all(before <= after for before, after in pairwise(busy))
    assert busy[-1] > busy[0]  # measured anew, not repeated


async def test_a_full_journal_leaves_moments_out_rather_than_invent_them_later(
    tmp_path: Path, journal: Refusing
) -> None:
    journal.full = True
    source = open_source("host", state_dir=tmp_path, rate=20_000.0)
    task = asyncio.create_task(source.run(journal))
    await until(lambda: source.status().deadlines_missed > 0 and source.status().waiting_for)
    journal.full = False
    await until(lambda: journal.head > 0 and source.status().waiting_for is None)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
