"""A target that goes back in time: its tables as they were, or without some of what they had."""

from __future__ import annotations

from typing import Any

import psycopg

from migctl.target.schema import EVENTS, HEADS, TOMBSTONES

TABLES = (EVENTS, TOMBSTONES, HEADS)


class TargetCopies:
    """Copies of the tables, made and put back with one connection of a superuser, each in one transaction."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.count = 0

    def take(self) -> None:
        """A copy of the tables as they are now."""
        names = [f"copy_{self.count}_{name}" for name in TABLES]
        with self._connection.transaction():
            for copy, name in zip(names, TABLES, strict=True):
                self._connection.execute(f"drop table if exists {copy}")  # of an example before this one
                self._connection.execute(f"create table {copy} as table {name}")
        self.count += 1

    def put_back(self, number: int) -> None:
        """The tables are as they were then."""
        with self._connection.transaction():
            self._connection.execute(f"truncate {', '.join(TABLES)}")
            for name in TABLES:
                self._connection.execute(f"insert into {name} select * from copy_{number}_{name}")

    def empty(self, *, heads_too: bool) -> None:
        """As by a reset."""
        self._connection.execute(f"truncate {', '.join(TABLES if heads_too else TABLES[:2])}")

    def forget_heads(self) -> None:
        """Somebody empties the table that he does not know."""
        self._connection.execute(f"truncate {HEADS}")

    def delete(self, first: int, count: int) -> None:
        """Rows of these seqs, whatever epoch they are of."""
        with self._connection.transaction():
            for name in TABLES[:2]:
                self._connection.execute(
                    f"delete from {name} where seq between {first} and {first + count - 1}"
                )
