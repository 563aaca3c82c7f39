"""The witness beside a real `serve` and a stand-in: windows into the table, outages, kills, and a webhook."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from aiohttp import web

from migctl.stack.keys import Keys
from migctl.stack.launcher import any_free_port
from migctl.stack.standin_process import StandinProcess
from migctl.status import WitnessStatus
from migctl.validate.witness.state import KEPT, read_state
from tests.kit.conditions import until
from tests.kit.serve_process import run, serving_process
from tests.kit.targets import environment_of, target_of

WINDOW_S = 3
WITHIN_S = 120.0


def settings(folder: Path, webhook: str | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = f"evidence: {{ window_s: {WINDOW_S}, grace_s: 2 }}\n"
    text += f"alerts: {{ webhook: '{webhook}' }}\n" if webhook is not None else ""
    (folder / "migctl.yaml").write_text(text)


@contextlib.asynccontextmanager
async def hooked() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook on a real socket, and what it got."""
    got: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        port = any_free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{port}/hook", got
    finally:
        await runner.cleanup()


def written(database: str) -> list[dict[str, Any]]:
    with psycopg.connect(database) as connection:
        rows = connection.execute("select document from monitoring_evidence order by started_at").fetchall()
    return [row[0] for row in rows]


def state(folder: Path) -> WitnessStatus:
    found = read_state(folder)
    assert found is not None
    return found


def seen(folder: Path, verdict: str) -> bool:
    found = read_state(folder)
    return found is not None and found.window is not None and found.window.verdict == verdict


@pytest.fixture
def standins(migrated: str, keys: Keys, tmp_path: Path) -> StandinProcess:
    return StandinProcess(
        tmp_path / "standin", any_free_port(), database_url=migrated, jwt_secret=keys.jwt_secret
    )


@pytest.mark.slow
async def test_windows_pass_an_outage_is_inconclusive_and_what_was_kept_is_caught_up(
    standins: StandinProcess, migrated: str, keys: Keys, tmp_path: Path
) -> None:
    folder = tmp_path / "serve"
    standins.start()
    more = {**environment_of(target_of(standins, migrated, keys)), "MIGCTL_WITNESS": "on"}
    async with hooked() as (url, got):
        settings(folder, url)
        with serving_process(folder, "--mode", "dual", more=more) as serve:
            async with serve.posting():
                await until(lambda: seen(folder, "pass"))
                first = state(folder).window
                assert first is not None
                assert first.expected > 0
                assert (first.match_percent, first.lost, first.fault) == (100.0, 0, None)
                await until(lambda: [one for one in written(migrated) if one["verdict"] == "pass"])
                async with httpx.AsyncClient(base_url=serve.url, trust_env=False) as http:
                    said = (await http.get("/api/status")).json()["witness"]
                    assert said["window"]["match_percent"] == 100.0
                    page = (await http.get("/metrics")).text
                assert "migctl_window_match_percent 100.0" in page

                # A busy machine may be late for a window before: that alert is over first, and is not the outage's.
                await until(lambda: all(one["status"] == "cleared" for one in got[-1:]), within_s=WITHIN_S)
                before = len(got)
                standins.stop()
                await until(
                    lambda: seen(folder, "inconclusive") and state(folder).kept >= 1, within_s=WITHIN_S
                )
                assert "realtime" in str(state(folder).window)
                assert (folder / KEPT).stat().st_mode & 0o077 == 0
                await until(lambda: len(got) == before + 1)

                standins.start()
                await until(
                    lambda: seen(folder, "pass") and state(folder).kept == 0 and len(got) == before + 2,
                    within_s=WITHIN_S,
                )
            minutes = written(migrated)
            assert {"pass", "inconclusive"} <= {one["verdict"] for one in minutes}
            starts = [one["started_at"] for one in minutes]
            assert len(starts) == len(set(starts))
            raised, cleared = got[before:]
            assert (raised["status"], cleared["status"]) == ("raised", "cleared")
            assert raised["reason"] == cleared["reason"]
            assert all(len(one["sha256"]) == 64 for one in minutes)


@pytest.mark.slow
async def test_a_killed_witness_is_started_again_and_ends_with_serve(
    standins: StandinProcess, migrated: str, keys: Keys, tmp_path: Path
) -> None:
    folder = tmp_path / "serve"
    settings(folder)
    standins.start()
    try:
        more = {**environment_of(target_of(standins, migrated, keys)), "MIGCTL_WITNESS": "on"}
        with serving_process(folder, "--mode", "dual", more=more) as serve:
            async with serve.posting():
                await until(lambda: seen(folder, "pass"))
                killed = state(folder).pid
                os.kill(killed, signal.SIGKILL)
                await until(lambda: state(folder).pid != killed and seen(folder, "pass"))
                await until(lambda: state(folder).kept == 0)
            again = state(folder).pid
            serve.send(signal.SIGKILL)
            await until(lambda: not Path(f"/proc/{again}").exists())
        times = Counter(one["started_at"] for one in written(migrated))
        assert times.total() >= 2
        assert set(times.values()) == {1}
    finally:
        standins.stop()


@pytest.mark.slow
async def test_watch_prints_a_line_a_window_and_its_exit_says_whether_all_passed(
    standins: StandinProcess, migrated: str, keys: Keys, tmp_path: Path
) -> None:
    folder = tmp_path / "serve"
    standins.start()
    try:
        more = environment_of(target_of(standins, migrated, keys))
        words = ("validate", "watch", "--window-s", "2", "--grace-s", "2", "--windows", "1", "--exit-status")
        with serving_process(folder, "--mode", "dual", more=more) as serve:

            def watched(*options: str) -> tuple[int, list[Any]]:
                done = run(folder, *words, "--url", serve.url, "-o", "json", *options, more=more)
                return done.returncode, [json.loads(line) for line in done.stdout.splitlines()] or [
                    done.stderr
                ]

            async def watched_until(reason: str | None, *options: str) -> tuple[int, list[Any]]:
                """A window may begin before both transports are there, on a busy machine: that is no pass, and says so."""
                for _ in range(10):
                    code, (window, summary) = await asyncio.to_thread(watched, *options)
                    if window["reason"] == reason:
                        return code, [window, summary]
                    assert (code, window["verdict"]) == (1, "inconclusive")
                raise AssertionError(window["reason"])

            code, (quiet, summary) = await watched_until("no event was committed")
            assert (code, quiet["verdict"]) == (1, "inconclusive")
            assert summary == {"schema": "migctl.watch/1", "windows": 1, "verdicts": {"inconclusive": 1}}
            async with serve.posting():
                code, (good, _) = await watched_until(None, "--no-write")
            assert (code, good["verdict"]) == (0, "pass")
            assert good["matched"] == good["expected"] > 0
    finally:
        standins.stop()
