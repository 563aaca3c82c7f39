"""A canary is no event: what a subscriber releases, and a capture writes down, does not know of it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from migctl.config import Target
from migctl.doctor import check
from migctl.events import Position
from migctl.journal.sqlite import SqliteJournal
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.receiving import publishing, reader, receiving
from tests.kit.relaying import Tables


@pytest.mark.parametrize("live", ["broadcast", "postgres_changes"])
async def test_a_capture_of_either_kind_holds_the_events_and_no_canary(
    standin: Target, migrated: str, tmp_path: Path, live: str
) -> None:
    tables = Tables(migrated)
    (tmp_path / "migctl.yaml").write_text(f"realtime:\n  live: {live}\n")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MIGCTL_", "SUPABASE_", "DATABASE_"))}
    journal = await SqliteJournal.open(tmp_path / "journal.db")
    process = None
    try:
        await journal.append([event()])
        async with publishing(journal, standin):
            await until(
                lambda: tables.hold(1)
            )  # what is published later than the capture began is the capture's
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "migctl", "capture", "-t", "realtime", "--out", "out", "--count", "3",
                env=kept | {
                    "SUPABASE_URL": standin.supabase_url,
                    "SUPABASE_ANON_KEY": standin.need("anon_key"),
                    "SUPABASE_JWT_SECRET": standin.need("jwt_secret"),
                },
                cwd=tmp_path, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert process.stderr is not None
            said = await asyncio.wait_for(process.stderr.readline(), 30)
            assert said.startswith(b"ready: realtime"), said
            assert (await check(standin, "public", timeout_s=20, differences=[])).failure() is None
            live_events = [event(), event(), event()]
            await journal.append(live_events)
            assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process is not None and process.returncode is None:
            process.kill()
        await journal.aclose()
    lines = [json.loads(line) for line in (tmp_path / "out/realtime.ndjson").read_text().splitlines()]
    assert [line["id"] for line in lines] == [one.id for one in live_events]
    assert json.loads((tmp_path / "out/realtime.summary.json").read_text())["complete"] is True


async def test_a_reader_of_the_tables_passes_over_a_canary_that_was_left_behind(
    standin: Target, migrated: str, tmp_path: Path
) -> None:
    tables = Tables(migrated)
    journal = await SqliteJournal.open(tmp_path / "journal.db")
    try:
        await journal.append([event(), event()])
        await tables.run(
            "insert into monitoring_events (id, event_type, timestamp, data, source)"
            " values (gen_random_uuid(), 'sys.canary', now(), '{}', 'migctl')"
        )
        async with publishing(journal, standin):
            await until(lambda: tables.hold(2))
            async with (
                reader(standin, position=Position(journal.epoch, 0)) as subscriber,
                receiving(subscriber) as received,
            ):
                await received.count(2)
                await until(lambda: subscriber.idle)
    finally:
        await journal.aclose()
    assert received.seqs == [1, 2]
    assert received.gaps == []
