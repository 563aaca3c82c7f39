"""`migctl journal` as a process: good and bad input, beside a writer that is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from migctl.journal.sqlite import SqliteJournal, read_file
from migctl.stack.launcher import any_free_port
from tests.kit import journals
from tests.kit.entries import event

PLAIN = {key: value for key, value in os.environ.items() if not key.startswith(("MIGCTL_", "SUPABASE_"))}


def migctl(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "migctl", *words],
        cwd=folder,
        env={**PLAIN, "MIGCTL_MODE": "websocket", **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        stdin=subprocess.DEVNULL,
    )


class Serve:
    """`migctl serve` on a free port, with this many events in its journal."""

    def __init__(self, folder: Path) -> None:
        self.port = any_free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "migctl", "serve", "--listen", f"127.0.0.1:{self.port}"],
            cwd=folder,
            env={**PLAIN, "MIGCTL_MODE": "websocket"},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        while not self.process.stderr.readline().startswith("serving:"):
            assert self.process.poll() is None

    def post(self, count: int, pad: int = 10) -> httpx.Response:
        body = [{"event_type": "t", "data": {"n": n, "pad": "x" * pad}} for n in range(count)]
        return httpx.post(f"http://127.0.0.1:{self.port}/events", json=body, timeout=180, trust_env=False)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Serve]:
    serve = Serve(tmp_path)
    yield serve
    if serve.process.poll() is None:
        serve.process.kill()
    serve.process.communicate()


# What scripts read: a key may be added at the end of its kind, and none is renamed.
STATUS_KEYS = [
    "schema", "path", "writer_id", "open_in", "epoch", "head", "tail", "epochs", "cursors", "dead_letters", "events_held",
    "used_bytes", "reusable_bytes", "log_bytes", "disk_free_bytes", "max_bytes", "min_free_bytes", "retain_hours",
    "retain_min_events", "rate_events_per_s", "held_back_hours", "full", "full_in_hours", "full_first",
]  # fmt: skip
EPOCH_KEYS = ["epoch", "prev_epoch", "started_at", "tail", "head", "lost_from", "lost_to", "reason"]
VERIFY_KEYS = ["schema", "path", "writer_id", "epochs", "events", "high_water", "at", "problems", "verdict"]


def document(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def fill(path: Path, count: int) -> None:
    async def append() -> None:
        journal = await SqliteJournal.open(path)
        await journal.append([event() for _ in range(count)])
        await journal.aclose()

    asyncio.run(append())


def test_a_live_journal_is_shown_exported_verified_and_copied_and_outlives_kill_9(
    served: Serve, tmp_path: Path
) -> None:
    assert served.post(40).status_code == 201
    said = document(migctl(tmp_path, "journal", "status", "-o", "json"))
    assert (said["head"], said["tail"], said["open_in"]["pid"]) == (40, 1, served.process.pid)
    assert said["full"] is None
    assert list(said) == STATUS_KEYS
    assert list(said["epochs"][0]) == EPOCH_KEYS
    lines = migctl(tmp_path, "journal", "export", "--from", "39").stdout.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [39, 40]
    assert (
        document(migctl(tmp_path, "journal", "export", "--out", "all.ndjson", "-o", "json"))["events"] == 40
    )
    assert migctl(tmp_path, "journal", "backup", "copy.db").returncode == 0
    assert migctl(tmp_path, "journal", "adopt", "--reason", "x").returncode == 4
    served.post(5)
    served.process.send_signal(signal.SIGKILL)
    served.process.wait()
    assert [entry.seq for entry in read_file(tmp_path / "copy.db")] == list(range(1, 41))
    assert migctl(tmp_path, "journal", "verify").stdout.startswith("pass: 45 events")
    verified = document(migctl(tmp_path, "journal", "verify", "-o", "json"))
    assert list(verified) == VERIFY_KEYS
    assert (verified["epochs"], verified["problems"], list(verified["high_water"])) == (
        1,
        [],
        ["epoch", "seq"],
    )
    assert "no process" in migctl(tmp_path, "journal", "status").stdout
    restored = document(migctl(tmp_path, "journal", "restore", "copy.db", "--replace", "-o", "json"))
    assert (restored["restored_head"], restored["lost_from"], restored["lost_to"]) == (40, 41, 45)
    assert [entry.seq for entry in read_file(Path(restored["replaced"]))][-1] == 45


def test_a_lost_journal_is_refused_until_it_is_adopted(tmp_path: Path) -> None:
    path = tmp_path / ".migctl" / "journal.db"
    fill(path, 7)
    journals.lose(path)
    refused = migctl(tmp_path, "serve", "--listen", f"127.0.0.1:{any_free_port()}")
    assert refused.returncode == 4
    assert "last seq 7" in refused.stderr and "migctl journal adopt --reason" in refused.stderr
    assert (
        document(migctl(tmp_path, "journal", "adopt", "--reason", "r", "--dry-run", "-o", "json"))["adopted"]
        is False
    )
    assert not path.exists()
    adopted = document(migctl(tmp_path, "journal", "adopt", "--reason", "the disk died", "-o", "json"))
    assert (adopted["adopted"], adopted["lost_from"], adopted["lost_to"]) == (True, 1, 7)
    assert migctl(tmp_path, "journal", "adopt", "--reason", "again").stderr.endswith(
        "no other journal was here\n"
    )
    last = document(migctl(tmp_path, "journal", "status", "-o", "json"))["epochs"][-1]
    assert "the disk died" in last["reason"]
    serve = Serve(tmp_path)
    assert serve.post(1).json()["epoch"] == last["epoch"]
    serve.process.terminate()
    serve.process.communicate()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["status", "--journal", "nope.db"], 2, "no such file"),
        (["verify", "--journal", "text.db"], 2, "not a journal"),
        (["export", "--from", "9"], 2, "holds 1 to 3"),
        (["export", "--epoch", "E"], 2, "no epoch E"),
        (["export", "--out", "no/such/folder"], 2, "No such file"),
        (["backup", "text.db"], 4, "is there already"),
        (["backup", "no/such/folder"], 2, "not written"),
        (["restore", "text.db", "--replace"], 2, "not a journal"),
        (["adopt", "--reason", " "], 2, "--reason is empty"),
        (["adopt"], 2, "--reason"),
    ],
)
def test_bad_input_is_told_with_its_exit_code(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    fill(tmp_path / ".migctl" / "journal.db", 3)
    (tmp_path / "text.db").write_text("this is no database, and it is long enough to look at" * 40)
    done = migctl(tmp_path, "journal", *words)
    assert (done.returncode, said in " ".join(done.stderr.split())) == (code, True), done.stderr


def test_verify_finds_a_missing_event_and_a_cursor_beyond_the_head(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / ".migctl" / "journal.db"
    fill(path, 9)
    database = sqlite3.connect(path)
    database.execute("DELETE FROM events WHERE pos & 0xFFFFFFFFFF = 4")
    database.execute("INSERT INTO cursors SELECT 'relay', epoch, 12 FROM epochs")
    database.commit()
    database.close()
    done = migctl(tmp_path, "journal", "verify", "-o", "json")
    assert done.returncode == 1
    problems = "\n".join(json.loads(done.stdout)["problems"])
    assert "9 events from seq 1 to 9 expected, 8 there" in problems
    assert "the first missing seq is 4" in problems
    assert "cursor relay stands at seq 12" in problems
    assert migctl(tmp_path, "journal", "export").returncode == 1
