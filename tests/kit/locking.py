"""A process of its own that locks a SQLite file, as a backup tool does, until it is let go."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HOLDER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=180)
for statement in sys.argv[2:]:
    database.execute(statement).fetchall()
print("locked", flush=True)
sys.stdin.read()
"""

# The writer's lock only; and all there is, which keeps readers out too and which nobody gets beside an open journal.
WRITING = ("BEGIN IMMEDIATE",)
ALONE = ("PRAGMA locking_mode=EXCLUSIVE", "BEGIN IMMEDIATE", "SELECT count(*) FROM meta")


@dataclass
class Lock:
    process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        return self.process.pid

    def let_go(self) -> None:
        """Returns once it is gone."""
        self.process.communicate()


@contextlib.contextmanager
def locked(path: Path, statements: tuple[str, ...] = WRITING) -> Iterator[Lock]:
    """Held from when it is yielded until `let_go`, or the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), *statements],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield Lock(process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()
