"""A journal that was lost, on a real target: refused by heads, adopted by name, crossed by a real reader."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from migctl.config import Target
from migctl.events import Position
from migctl.stack.launcher import any_free_port
from tests.kit import journals
from tests.kit.conditions import until
from tests.kit.receiving import reader, receiving
from tests.kit.relaying import Tables


class Here:
    """A folder to serve from, and a hosted target in the environment."""

    def __init__(self, folder: Path, target: Target) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{any_free_port()}"
        plain = {
            key: value for key, value in os.environ.items() if not key.startswith(("MIGCTL_", "SUPABASE_"))
        }
        self.environ = {
            **plain,
            "SUPABASE_URL": target.supabase_url,
            "SUPABASE_ANON_KEY": target.need("anon_key"),
            "SUPABASE_SERVICE_ROLE_KEY": target.need("service_role_key"),
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "migctl", *words],
            cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False, timeout=180,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def serve(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "migctl", "serve", "--listen", self.url.removeprefix("http://")],
            cwd=self.folder, env=self.environ, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    async def post(self, count: int) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=180) as http:

            async def up() -> bool:
                try:
                    return (await http.get(f"{self.url}/healthz")).status_code == 200
                except httpx.TransportError:
                    return False

            await until(up)
            body = [{"event_type": "t", "data": {"n": n}} for n in range(count)]
            answer = await http.post(f"{self.url}/events", json=body)
            assert answer.status_code == 201


@pytest.mark.slow
async def test_a_lost_journal_is_refused_by_heads_adopted_and_its_readers_go_on(
    standin: Target, tables: Tables, tmp_path: Path
) -> None:
    here = Here(tmp_path, standin)
    path = tmp_path / ".migctl" / "journal.db"
    serve = here.serve()
    await here.post(6)

    async def told() -> bool:
        return [(table, journal) for _, table, journal in await tables.heads()] == [(6, 6)]

    await until(told)
    serve.send_signal(signal.SIGKILL)
    serve.wait()
    first_epoch = (await tables.heads())[0][0]
    await tables.run(
        "update monitoring_heads set journal_head = 9"
    )  # three were acknowledged and never relayed
    journals.lose(path, mark=True)

    refused = here.run("serve", "--listen", here.url.removeprefix("http://"))
    assert refused.returncode == 4
    assert re.search(
        rf"belongs to the journal of writer \S+: epoch {first_epoch}, last seq 9", refused.stderr
    )
    unasked = here.run("journal", "adopt", "--reason", "the disk died")
    assert (unasked.returncode, standin.supabase_url in unasked.stderr) == (4, True)
    adopted = here.run("journal", "adopt", "--reason", "the disk died", "--yes")
    assert adopted.returncode == 0, adopted.stderr
    assert "seq 7 to 9 are lost" in adopted.stderr

    async with (
        reader(standin, position=Position(first_epoch, 4)) as realtime,
        receiving(realtime) as received,
    ):
        serve = here.serve()
        await here.post(3)
        await received.count(5)
    serve.terminate()
    assert serve.wait(60) == 0
    assert received.seqs == [5, 6, 1, 2, 3]
    assert [(gap.reason, gap.lost_from, gap.lost_to) for gap in received.gaps] == [("lost", 7, 9)]
    assert "nothing to adopt" in here.run("journal", "adopt", "--reason", "again", "--yes").stderr
