"""The contract of every journal, by role. Each implementation is a parameter; what the tests say holds for all of them.

A test takes the roles that it speaks of, so that what stands behind one of them alone can be held to that part.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from migctl.journal import (
    DeadLetters,
    Journal,
    Log,
    Places,
    Room,
)
from migctl.journal.sqlite import SqliteJournal

Open = Callable[[], Awaitable[Journal]]


@pytest.fixture(params=["sqlite"])
def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same journal, each time anew."""
    assert request.param == "sqlite"
    return lambda: SqliteJournal.open(tmp_path / "journal.db")


@pytest.fixture
async def journal(open_again: Open) -> AsyncIterator[Journal]:
    opened = await open_again()
    yield opened
    await opened.aclose()


@pytest.fixture
def log(journal: Journal) -> Log:
    return journal


@pytest.fixture
def places(journal: Journal) -> Places:
    return journal


@pytest.fixture
def room(journal: Journal) -> Room:
    return journal


@pytest.fixture
def dead_letters(journal: Journal) -> DeadLetters:
    return journal
