"""kill -9 of `migctl serve` while producers send and subscribers of both transports listen: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest

from migctl.config import Target
from migctl.journal.sqlite import read_file
from migctl.runtime.report import READER
from migctl.stack.launcher import any_free_port
from migctl.validate import report
from tests.kit.conditions import until

KILLS = 4
PRODUCERS = 4


class Commands:
    """migctl in processes of their own, against one target, in one folder; none outlives the test."""

    def __init__(self, folder: Path, target: Target) -> None:
        self.folder = folder
        self.env = {
            **{
                key: value
                for key, value in os.environ.items()
                if not key.startswith(("MIGCTL_", "SUPABASE_"))
            },
            "SUPABASE_URL": target.supabase_url,
            "SUPABASE_ANON_KEY": target.need("anon_key"),
            "SUPABASE_SERVICE_ROLE_KEY": target.need("service_role_key"),
            "SUPABASE_JWT_SECRET": target.need("jwt_secret"),
            "NO_COLOR": "1",
        }
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *arguments: str) -> tuple[subprocess.Popen[bytes], Path]:
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "migctl", *arguments],
                cwd=self.folder,
                env=self.env,
                stdout=output,
                stderr=output,
            )
        self.running.append(process)
        return process, log

    def end(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()


async def produce(url: str, name: str, stop: Callable[[], bool], acknowledged: list[str]) -> None:
    """Send one event after the other, each until it is acknowledged, as a producer does that must not lose any."""
    async with httpx.AsyncClient(timeout=2.0, trust_env=False) as http:
        while not stop():
            event = {
                "id": str(uuid4()),
                "event_type": name,
                "data": {"number": len(acknowledged), "spelled": 1.10},
            }
            while True:
                try:
                    answer = await http.post(f"{url}/events", json=event)
                except httpx.HTTPError:
                    await asyncio.sleep(0.05)
                    continue
                assert answer.status_code in (201, 503), answer.text
                if answer.status_code == 201:
                    break
            acknowledged.append(event["id"])


@pytest.mark.slow
async def test_kill_9_of_serve_loses_nothing_and_doubles_nothing(standin: Target, tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    sys.stdout.write(f"seed {seed}\n")
    chance = random.Random(seed)
    commands = Commands(tmp_path, standin)
    port = any_free_port()
    url = f"http://127.0.0.1:{port}"
    serve = ("serve", "--mode", "dual", "--listen", f"127.0.0.1:{port}", "--log-level", "warning")
    done = False
    acknowledged: dict[str, list[str]] = {f"producer_{number}": [] for number in range(PRODUCERS)}
    try:
        server, log = commands.start("serve", *serve)
        captures = {
            name: commands.start(
                f"capture-{name}", "capture", "--transport", name, "--out", "evidence", "--wait", "30", *more
            )
            for name, more in (("websocket", ("--url", f"ws://127.0.0.1:{port}/ws")), ("realtime", ()))
        }
        for _, capture_log in captures.values():
            await until(lambda capture_log=capture_log: b"ready:" in capture_log.read_bytes())  # type: ignore[misc]
        producers = [
            asyncio.create_task(produce(url, name, lambda: done, ids)) for name, ids in acknowledged.items()
        ]
        for kill in range(1, KILLS + 1):
            before = sum(map(len, acknowledged.values()))
            goal = before + chance.randrange(20, 200)
            await until(lambda goal=goal: sum(map(len, acknowledged.values())) >= goal)  # type: ignore[misc]
            server.send_signal(signal.SIGKILL)
            server.wait()
            server, log = commands.start(f"serve-{kill}", *serve)
        last = sum(map(len, acknowledged.values())) + 50
        await until(lambda: sum(map(len, acknowledged.values())) >= last)
        done = True
        await asyncio.gather(*producers)
        for process, _ in captures.values():
            process.send_signal(signal.SIGTERM)
        for process, capture_log in captures.values():
            code = await asyncio.to_thread(process.wait, 30)
            assert code == 0, capture_log.read_text()
        server.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(server.wait, 30) == 0, log.read_text()
    finally:
        done = True
        commands.end()

    sent = {event_id for ids in acknowledged.values() for event_id in ids}
    stored = [entry.event.id for entry in read_file(tmp_path / ".migctl" / "journal.db")]
    assert len(stored) == len(set(stored))
    # What was killed before its answer may be there too, under the id that its producer sent again: so nothing but `sent`.
    assert set(stored) == sent
    rows = (
        psycopg.connect(standin.need("database_url"))
        .execute("SELECT id::text, seq FROM monitoring_events ORDER BY seq")
        .fetchall()
    )
    assert [row[0] for row in rows] == stored
    assert [row[1] for row in rows] == list(range(1, len(stored) + 1))
    evidence = {name: tmp_path / "evidence" / f"{name}.ndjson" for name in ("websocket", "realtime")}
    made = report(
        journal=tmp_path / ".migctl" / "journal.db", reader=READER, captures=evidence, window="journal"
    ).to_json()
    assert (made["verdict"], made["expected"], made["matched"], made["lost"]) == (
        "pass",
        len(stored),
        len(stored),
        0,
    )
    assert not any(made["discrepancies"].values())
