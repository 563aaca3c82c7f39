"""kill -9 of a process that reads a file: resumed, it ends with each line exactly once, in order."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from migctl.journal.sqlite import read_file

READER = """
import asyncio, sys
from pathlib import Path
from migctl.ingest import open_source
from migctl.journal.sqlite import SqliteJournal

async def main():
    folder = Path(sys.argv[1])
    journal = await SqliteJournal.open(folder / "journal.db")

    async def tell():
        async for entries in journal.follow(journal.head):
            print(entries[-1].seq, flush=True)

    telling = asyncio.create_task(tell())
    await open_source(str(folder / "a.ndjson"), state_dir=folder).run(journal)
    telling.cancel()
    await journal.aclose()
    print("done", flush=True)

asyncio.run(main())
"""

LINES = 20_000


@pytest.mark.slow
@pytest.mark.parametrize("steps", [(1, 1, 1, 1), (2, 5, 1), (9,)])
def test_each_line_is_in_the_journal_exactly_once(tmp_path: Path, steps: tuple[int, ...]) -> None:
    with (tmp_path / "a.ndjson").open("wb") as file:
        for number in range(LINES):
            # Every hundredth does not fit; the others look alike but for their number.
            file.write(b"garbage\n" if number % 100 == 99 else b'{"type":"x","data":{"n":%d}}\n' % number)
    kills = 0
    for step in steps:
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert reader.stdout is not None
        told = [reader.stdout.readline() for _ in range(step)]
        reader.send_signal(signal.SIGKILL)
        told += reader.stdout.read().splitlines()
        reader.communicate()
        kills += not any("done" in text for text in told)
    assert kills > 0, "every reader was quicker than the kill: nothing was tested"
    subprocess.run(
        [sys.executable, "-c", READER, str(tmp_path)], check=True, timeout=300, stdout=subprocess.PIPE
    )
    entries = list(read_file(tmp_path / "journal.db"))
    assert [json.loads(entry.event.data)["n"] for entry in entries] == [
        n for n in range(LINES) if n % 100 != 99
    ]
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    kept = [json.loads(text) for text in (tmp_path / "rejected.ndjson").read_text().splitlines()]
    assert len({record["offset"] for record in kept}) == LINES // 100
