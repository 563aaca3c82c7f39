"""A real journal, and one that can be told to refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from migctl.events import Event
from migctl.journal import Appended, Bookmark, JournalUnavailable
from migctl.journal.sqlite import SqliteJournal


class Refusing:
    """Stands before a real journal and refuses, as a full disk would, while `full` is set."""

    def __init__(self, journal: SqliteJournal) -> None:
        self._journal = journal
        self.full = False
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    async def append(self, events: Sequence[Event], *, read: Bookmark | None = None) -> Appended:
        if self.full:
            self.refused += 1
            raise JournalUnavailable("the journal's disk is full", do="free disk space")
        return await self._journal.append(events, read=read)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Refusing]:
    opened = await SqliteJournal.open(tmp_path / "journal.db")
    yield Refusing(opened)
    await opened.aclose()
