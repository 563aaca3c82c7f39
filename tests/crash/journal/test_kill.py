"""kill -9 of a process that appends: what it was told is durable is there, without a hole, once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from migctl.journal.sqlite import SqliteJournal, read_file

PRODUCER = """
import asyncio, sys
from datetime import datetime, UTC
from pathlib import Path
from migctl.events import make_event
from migctl.journal.sqlite import SqliteJournal

async def produce(journal, name):
    for number in range(1_000_000):
        moment = datetime.now(UTC)
        event = make_event(id=f"{name}/{number}", event_type="t", timestamp=moment, source="s",
                           data=b'{"n":%d}' % number, arrived=moment, default_source="s")
        answer = await journal.append([event])
        # One write call a line: what the parent reads was acknowledged.
        sys.stdout.write(f"{answer.last_seq} {event.id}\\n")
        sys.stdout.flush()

async def main():
    journal = await SqliteJournal.open(Path(sys.argv[1]))
    await asyncio.gather(*(produce(journal, name) for name in sys.argv[2:]))

asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledged", [1, 40, 333, 700, 1500])
def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path: Path, acknowledged: int) -> None:
    path = tmp_path / "journal.db"
    told: dict[int, str] = {}
    for life in range(2):
        names = [f"life{life}-{number}" for number in range(10)]
        process = subprocess.Popen(
            [sys.executable, "-c", PRODUCER, str(path), *names],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ},
        )
        assert process.stdout is not None
        for _ in range(acknowledged):
            seq, event_id = process.stdout.readline().split()
            told[int(seq)] = event_id
        process.send_signal(signal.SIGKILL)
        for line in process.stdout.read().splitlines(keepends=True):
            if line.endswith("\n"):
                seq, event_id = line.split()
                told[int(seq)] = event_id
        process.communicate()
    stored = {entry.seq: entry.event.id for entry in read_file(path)}
    assert list(stored) == list(range(1, len(stored) + 1))
    assert len(set(stored.values())) == len(stored)
    assert {seq: stored.get(seq) for seq in told} == told


def test_a_killed_writer_does_not_lock_the_next_one_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    process = subprocess.Popen(
        [sys.executable, "-c", PRODUCER, str(path), "a"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate()

    async def open_again() -> int:
        journal = await SqliteJournal.open(path)
        head = journal.head
        await journal.aclose()
        return head

    assert asyncio.run(open_again()) >= 1
