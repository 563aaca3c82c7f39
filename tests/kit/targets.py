"""Targets of stand-ins that a test runs itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from migctl.config import Target
from migctl.stack.keys import Keys
from migctl.stack.launcher import any_free_port
from migctl.stack.standin_process import StandinProcess


@contextmanager
def standing(folder: Path, database: str, keys: Keys) -> Iterator[StandinProcess]:
    """A stand-in as a process, for the length of the block. database: the URL of the one that it works on."""
    process = StandinProcess(folder, any_free_port(), database_url=database, credentials=keys.credentials)
    process.start()
    try:
        yield process
    finally:
        process.stop()


def target_of(process: StandinProcess, database: str, keys: Keys) -> Target:
    """What a client of this stand-in needs. database: the URL of the one that it works on."""
    return Target(
        supabase_url=process.url,
        **{name: key for name, key in keys.shown._asdict().items() if key is not None},
        database_url=database,
        embedded=True,
    )


def environment_of(target: Target) -> dict[str, str]:
    """What a command needs in its environment to work on this target."""
    return target.variables()
