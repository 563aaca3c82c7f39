"""Commands that find something wanting where it takes more than words: each ends with 1, and says what."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from migctl.config import Target
from migctl.exits import Exit
from migctl.journal.sqlite import SqliteJournal
from migctl.stack.keys import Keys
from migctl.stack.standin_process import StandinProcess
from tests.cli.test_doors import HOSTED
from tests.kit.entries import event
from tests.kit.serve_process import begin, environment, run, serving_process
from tests.kit.targets import environment_of, target_of

ROOT = Path(__file__).parents[3]


def test_a_target_without_our_files_is_wanting(
    process: StandinProcess, database: str, keys: Keys, tmp_path: Path
) -> None:
    more = environment_of(target_of(process, database, keys))
    for words in (("schema", "status", "--exit-code"), ("schema", "prune", "--older-than", "30d", "--yes")):
        ended = run(tmp_path, *words, more=more)
        assert ended.returncode == Exit.WANTING, (words, ended.stdout, ended.stderr)


async def test_a_copy_that_does_not_hold_together_is_not_restored(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    journal = await SqliteJournal.open(copy)
    await journal.append([event() for _ in range(3)])
    await journal.aclose()
    with contextlib.closing(sqlite3.connect(copy)) as database:
        database.execute("DELETE FROM events WHERE pos = (SELECT min(pos) + 1 FROM events)")
        database.commit()
    ended = run(tmp_path, "journal", "restore", "copy.db", "--journal", "new.db")
    assert (ended.returncode, "does not hold together" in ended.stderr) == (Exit.WANTING, True), ended.stderr
    assert not (tmp_path / "new.db").exists()


def test_subscribers_are_not_all_where_the_record_does_not_say_who_else_there_is(tmp_path: Path) -> None:
    with serving_process(tmp_path, "--mode", "websocket", more=HOSTED):
        ended = run(tmp_path, "clients", more=HOSTED)
    assert ended.returncode == Exit.WANTING, ended.stderr
    assert "may have subscribers" in ended.stderr


@pytest.mark.slow
def test_a_step_back_that_a_process_does_not_confirm_is_wanting(standin: Target, tmp_path: Path) -> None:
    more = environment_of(standin)
    assert run(tmp_path, "schema", "apply", "--yes", more=more).returncode == Exit.DONE
    with serving_process(tmp_path, "--mode", "dual", more=more) as serve:
        raised = run(tmp_path, "rollout", "set", "25", "--reason", "x", "--yes", more=more)
        assert raised.returncode == Exit.DONE, raised.stderr
        serve.send(signal.SIGSTOP)
        ended = run(tmp_path, "rollout", "revert", "--reason", "x", "--yes", more=more)
        serve.send(signal.SIGCONT)
    assert (ended.returncode, "confirm" in ended.stderr) == (Exit.WANTING, True), ended.stderr


def test_a_flag_that_somebody_else_changed_meanwhile_is_not_disabled(standin: Target, tmp_path: Path) -> None:
    more = environment_of(standin)
    flags = str(ROOT / "configs/flags/transport.yaml")
    assert run(tmp_path, "schema", "apply", "--yes", more=more).returncode == Exit.DONE
    imported = run(tmp_path, "flags", "import", flags, "--reason", "x", "--yes", more=more)
    assert imported.returncode == Exit.DONE, imported.stderr
    ours, theirs = os.openpty()
    asked = subprocess.Popen(
        [sys.executable, "-m", "migctl", "flags", "disable", "transport"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(tmp_path, more),
        cwd=tmp_path,
    )
    os.close(theirs)
    said = b""
    while b"[y/N]" not in said:
        said += os.read(ours, 4096)
    other = run(tmp_path, "flags", "assign", "ann", "websocket", "--reason", "x", "--yes", more=more)
    assert other.returncode == Exit.DONE, other.stderr
    os.write(ours, b"y\n")
    assert asked.wait(60) == Exit.WANTING
    assert b"changed meanwhile" in os.read(ours, 4096)
    os.close(ours)


@pytest.mark.slow
def test_a_replay_whose_evidence_was_cut_fails(tmp_path: Path) -> None:
    """Half of what a subscriber wrote down is taken away while it goes on."""
    lines = (
        f'{{"event_type":"cpu","timestamp":"2026-01-31T12:00:{n // 20:02}.{n % 20 * 5:02}Z","source":"a","data":{{"n":{n}}}}}'
        for n in range(200)
    )
    (tmp_path / "old.ndjson").write_text("\n".join(lines) + "\n")
    out, err = tmp_path / "stdout", tmp_path / "stderr"
    words = ("replay", "old.ndjson", "--out", "kept")
    replay, capture = begin(tmp_path, *words, out=out, err=err), tmp_path / "kept" / "websocket.ndjson"
    try:
        while not capture.exists() or capture.read_bytes().count(b"\n") < 50:
            assert replay.poll() is None, err.read_text()
            time.sleep(0.05)
        os.truncate(capture, 0)
        assert replay.wait(120) == Exit.WANTING, out.read_text() + err.read_text()
    finally:
        replay.kill()
