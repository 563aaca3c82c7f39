"""`migctl capture --transport dual` as a process, whose target is killed while it captures."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from migctl.journal.sqlite import SqliteJournal
from migctl.stack.keys import Keys
from migctl.stack.launcher import any_free_port
from migctl.stack.standin_process import StandinProcess
from tests.kit.capturing import capturing
from tests.kit.conditions import until
from tests.kit.deployed import deployed, events_going_on
from tests.kit.targets import target_of


async def test_each_line_says_who_delivered_it_first_and_the_run_is_whole_across_a_fallback(
    migrated: str, keys: Keys, tmp_path: Path
) -> None:
    process = StandinProcess(
        tmp_path / "standin", any_free_port(), database_url=migrated, jwt_secret=keys.jwt_secret
    )
    process.start()
    journal = await SqliteJournal.open(tmp_path / "journal.db")
    try:
        async with (
            deployed(journal, target_of(process, migrated, keys), assigned="realtime") as server,
            capturing(tmp_path / "out", "--url", server.url, transport="dual") as capture,
            events_going_on(journal),
        ):
            assert "dual" in await capture.said("ready")
            await asyncio.to_thread(capture.wait_for_lines, 50)
            process.send(signal.SIGKILL)
            await asyncio.to_thread(process.wait, 5.0)
            killed_at = journal.head
            await asyncio.to_thread(capture.wait_for_lines, killed_at + 20)
            # What was missed comes as "resume", and may be more than these.
            await until(lambda: capture.lines[-1]["via"] == "live")
            capture.process.send_signal(signal.SIGTERM)
            code, _, err = await capture.ended()
            entries = await journal.read(0, limit=100_000)
        assert code == 0, err
        lines, summary = capture.lines, capture.summary
        first = summary["from"]["seq"]
        assert [line["seq"] for line in lines] == list(range(first + 1, first + len(lines) + 1))
        assert [line["id"] for line in lines] == [
            entry.event.id for entry in entries[first : first + len(lines)]
        ]
        brought = [(line["transport"], line["via"]) for line in lines]
        assert ("realtime", "live") in brought[:50]
        assert brought[-1] == ("websocket", "live")
        assert (summary["transport"], summary["complete"], summary["discontinuities"]) == ("dual", True, [])
    finally:
        process.stop()
        await journal.aclose()


async def test_server_that_is_not_there_is_exit_3_with_its_address(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{any_free_port()}"
    async with capturing(tmp_path / "out", "--url", url, "--wait", "0.2", transport="dual") as capture:
        code, _, err = await capture.ended()
    assert code == 3
    assert url in err
