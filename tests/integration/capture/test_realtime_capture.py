"""`migctl capture --transport realtime` as a process, against the stand-in, while events keep coming."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from migctl.config import Target
from migctl.events import parse_time
from migctl.journal.sqlite import SqliteJournal
from migctl.stack.launcher import any_free_port
from tests.kit.capturing import capturing
from tests.kit.entries import event
from tests.kit.receiving import publishing


def environment(target: Target) -> dict[str, str]:
    return {
        **os.environ,
        "SUPABASE_URL": target.supabase_url,
        "SUPABASE_ANON_KEY": target.need("anon_key"),
        "SUPABASE_JWT_SECRET": target.need("jwt_secret"),
    }


def nowhere() -> Target:
    """A target that nobody serves."""
    return Target(f"http://127.0.0.1:{any_free_port()}", anon_key="k", jwt_secret="x" * 40)


async def test_stop_in_the_middle_of_the_stream_has_everything_committed_before(
    standin: Target, tmp_path: Path
) -> None:
    journal = await SqliteJournal.open(tmp_path / "journal.db")
    stop = asyncio.Event()

    async def publish() -> None:
        while not stop.is_set():
            await journal.append([event() for _ in range(3)])
            await asyncio.sleep(0.01)

    try:
        async with (
            publishing(journal, standin),
            capturing(tmp_path / "out", transport="realtime", env=environment(standin)) as capture,
            asyncio.TaskGroup() as group,
        ):
            await capture.said("ready")
            group.create_task(publish())
            await asyncio.to_thread(capture.wait_for_lines, 150)
            capture.process.send_signal(signal.SIGTERM)
            code, _, err = await capture.ended()
            stop.set()
        assert code == 0, err
        summary, lines = capture.summary, capture.lines
        stopped_at = parse_time(summary["stop_requested_at"])
        entries = await journal.read(summary["from"]["seq"], limit=5000)
        wanted = [entry.event.id for entry in entries if entry.committed_at <= stopped_at]
        assert [line["id"] for line in lines][: len(wanted)] == wanted
        assert [line["seq"] for line in lines] == list(range(lines[0]["seq"], lines[0]["seq"] + len(lines)))
        assert (summary["complete"], summary["role"], summary["received"]) == (
            True,
            "authenticated",
            len(lines),
        )
    finally:
        await journal.aclose()


@pytest.mark.slow
async def test_wrong_secret_is_exit_3_with_the_way_out(standin: Target, tmp_path: Path) -> None:
    wrong = {**environment(standin), "SUPABASE_JWT_SECRET": "x" * 40}
    async with capturing(tmp_path / "out", transport="realtime", env=wrong) as capture:
        code, _, err = await capture.ended()
    assert code == 3
    assert "SUPABASE_JWT_SECRET" in err
    assert list((tmp_path / "out").iterdir()) == []


async def test_missing_secret_is_named_before_anything_is_tried(tmp_path: Path) -> None:
    without = {name: value for name, value in environment(nowhere()).items() if name != "SUPABASE_JWT_SECRET"}
    async with capturing(tmp_path / "out", transport="realtime", env=without) as capture:
        code, _, err = await capture.ended()
    assert code == 2
    assert "SUPABASE_JWT_SECRET" in err


async def test_target_that_is_not_there_is_exit_3_with_its_address(tmp_path: Path) -> None:
    target = nowhere()
    async with capturing(
        tmp_path / "out", "--wait", "0.3", transport="realtime", env=environment(target)
    ) as capture:
        code, _, err = await capture.ended()
    assert code == 3
    assert target.supabase_url in err


@pytest.mark.slow
async def test_database_without_our_tables_says_what_to_run(
    database: str, standin: Target, tmp_path: Path
) -> None:
    """The channel may be joined by nobody there, and the tables are not there either."""
    from migctl.stack.standin_process import StandinProcess

    bare = StandinProcess(
        tmp_path / "bare", any_free_port(), database_url=database, jwt_secret=standin.need("jwt_secret")
    )
    bare.start()
    try:
        env = {**environment(standin), "SUPABASE_URL": bare.url}
        async with capturing(tmp_path / "out", transport="realtime", env=env) as capture:
            code, _, err = await capture.ended()
    finally:
        bare.stop()
    assert code == 3
    assert "schema" in err
