"""What a SQLite journal keeps beside its events: places and dead letters."""

from __future__ import annotations

from datetime import datetime

from migctl.events import Position
from migctl.journal.model import Bookmark, DeadLetter, Outcome
from migctl.journal.sqlite import dead_letters, queries
from migctl.journal.sqlite.store import Store


class Records:
    """The roles Places and DeadLetters of a journal."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # Places.

    async def cursor(self, name: str) -> Position | None:
        return await self._store.read(lambda database: queries.cursor(database, name))

    async def move_cursor(self, name: str, position: Position) -> None:
        await self._store.operate(lambda database: queries.move_cursor(database, name, position))

    async def set_cursor_back(self, name: str, position: Position) -> None:
        await self._store.operate(lambda database: queries.set_cursor(database, name, position))

    async def bookmark(self, source: str) -> Bookmark | None:
        return await self._store.read(lambda database: queries.bookmark(database, source))

    async def note(self, key: str) -> str | None:
        return await self._store.read(lambda database: queries.note(database, key))

    async def set_note(self, key: str, text: str) -> None:
        await self._store.operate(lambda database: queries.set_note(database, key, text))

    # Dead letters.

    async def add_dead_letter(self, letter: DeadLetter) -> bool:
        new: bool = await self._store.operate(lambda database: dead_letters.add(database, letter))
        return new

    async def settle_dead_letter(
        self,
        position: Position,
        outcome: Outcome,
        at: datetime,
        *,
        new_id: str | None = None,
        by: str | None = None,
        why: str | None = None,
    ) -> None:
        await self._store.operate(
            lambda database: dead_letters.settle(database, position, outcome, at, new_id, by, why)
        )

    async def dead_letters(self, *, limit: int = 1000) -> list[DeadLetter]:
        return await self._store.read(lambda database: dead_letters.newest_first(database, limit))

    async def count_dead_letters(self) -> tuple[int, dict[str, int]]:
        return await self._store.read(dead_letters.count)
