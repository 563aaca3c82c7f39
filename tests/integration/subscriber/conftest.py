"""Fixtures of the subscribers: a journal, and a stand-in that can be killed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from migctl.config import Target
from migctl.journal.sqlite import SqliteJournal
from migctl.stack.keys import Keys
from migctl.stack.launcher import any_free_port
from migctl.stack.standin_process import StandinProcess
from tests.kit.relaying import Tables
from tests.kit.targets import target_of


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    journal = await SqliteJournal.open(tmp_path / "journal.db")
    yield journal
    await journal.aclose()


@pytest.fixture
def process(migrated: str, keys: Keys, tmp_path: Path) -> Iterator[StandinProcess]:
    """A stand-in as a process that a test may kill."""
    process = StandinProcess(
        tmp_path / "standin", any_free_port(), database_url=migrated, jwt_secret=keys.jwt_secret
    )
    process.start()
    yield process
    process.stop()


@pytest.fixture
def target(process: StandinProcess, migrated: str, keys: Keys) -> Target:
    return target_of(process, migrated, keys)


@pytest.fixture
def tables(migrated: str) -> Tables:
    return Tables(migrated)
