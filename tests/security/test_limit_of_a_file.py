"""A quota, or a limit of file sizes: to SQLite a write that failed. No event is taken, `serve` goes on, and takes them again."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.kit.conditions import until
from tests.kit.serve_process import ServeProcess, environment, run, serving_process

EVENT = {"event_type": "cpu", "data": {"n": "x" * 4000}}

pytestmark = pytest.mark.slow


def post(serve: ServeProcess, count: int) -> httpx.Response:
    return httpx.post(f"{serve.url}/events", json=[EVENT] * count, trust_env=False, timeout=30.0)


def limit(serve: ServeProcess, size: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(serve.process.pid, resource.RLIMIT_FSIZE, (size, hard))


async def test_at_a_limit_of_file_sizes_serve_refuses_and_goes_on(tmp_path: Path) -> None:
    with serving_process(tmp_path / "s", "--mode", "websocket") as serve:
        assert post(serve, 50).status_code == 201
        journal = tmp_path / "s" / "journal.db"
        taken = 50
        limit(serve, max(path.stat().st_size for path in (journal, Path(f"{journal}-wal"))) + 300_000)
        for _ in range(100):
            answer = post(serve, 50)
            if answer.status_code != 201:
                break
            taken += 50
        assert answer.status_code == 503
        assert "full" in answer.json()["errors"][0]["reason"]
        assert answer.headers["Retry-After"]
        for _ in range(3):
            assert post(serve, 50).status_code == 503
        assert httpx.get(f"{serve.url}/healthz", trust_env=False).status_code == 200
        assert httpx.get(f"{serve.url}/readyz", trust_env=False).status_code == 503
        limit(serve, resource.RLIM_INFINITY)

        async def takes() -> bool:
            nonlocal taken
            if post(serve, 1).status_code != 201:
                return False
            taken += 1
            return True

        await until(takes)
        serve.stop()
    with sqlite3.connect(journal) as database:
        assert database.execute("select count(*) from events").fetchone() == (taken,)
    assert run(tmp_path / "s", "journal", "verify").returncode == 0


@pytest.mark.parametrize(
    "words", [("journal", "export"), ("journal", "status"), ("config", "show"), ("--help",)]
)
def test_an_output_without_room_is_no_error_of_ours_and_no_success(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    with serving_process(tmp_path / "s", "--mode", "websocket") as serve:
        assert post(serve, 200).status_code == 201
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "migctl", *words],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
            env=environment(tmp_path / "s"), cwd=tmp_path / "s",
        )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "no room to write" in done.stderr
    assert "report it" not in done.stderr
