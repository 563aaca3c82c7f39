"""From a batch of changes to who gets what: tables, events, filters, grants and policies, in the order of commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from migctl.stack.standin.auth import Identity
from migctl.stack.standin.database import Connection
from migctl.stack.standin.realtime import records
from migctl.stack.standin.realtime.receivers import Receivers, Seer, receivers_of, text_of, to_ask
from migctl.stack.standin.realtime.records import JSON, Described
from migctl.stack.standin.realtime.subscriptions import Subscription
from migctl.stack.standin.realtime.visibility import Visibility
from migctl.stack.standin.wal.pgoutput import Change, Relation, Transaction


class Poisoned(Exception):
    """Something in the batch makes the reading of the slot fail, and costs everybody the slot."""


class Batch:
    """The changes of one poll, numbered in the order of commit."""

    def __init__(self, transactions: Sequence[Transaction]) -> None:
        self.xids = [transaction.xid for transaction in transactions]
        self.changes: list[tuple[Change, int]] = [
            (change, transaction.commit_us) for transaction in transactions for change in transaction.changes
        ]

    def by_table(self) -> dict[Relation, list[int]]:
        tables: dict[Relation, list[int]] = {}
        for number, (change, _) in enumerate(self.changes):
            tables.setdefault(change.relation, []).append(number)
        return tables


class Fanout:
    """Asks PostgreSQL once for each table and identity of a batch, whoever many subscribers share them."""

    def __init__(self, visibility: Visibility, max_record_bytes: Callable[[], int]) -> None:
        self._visibility = visibility
        self._max_record_bytes = max_record_bytes

    async def messages(
        self, conn: Connection, batch: Batch, subscriptions: Sequence[Subscription]
    ) -> list[Receivers]:
        """What is to be said of each change, in order. An error of PostgreSQL costs all of them, as on the real server.

        Raises Poisoned, and psycopg.Error: for a policy that raises, a value that is no JSON, a filter that can't be asked.
        """
        await self._visibility.committed(conn, batch.xids)
        # The real server reads the log for the tables that are published now, whatever was when they changed.
        published = await self._visibility.published(conn)
        receivers: list[Receivers] = [[] for _ in batch.changes]
        for relation, numbers in batch.by_table().items():
            if relation.oid not in published:
                continue
            concerned = [item for item in subscriptions if relation.oid in item.tables]
            if concerned:
                await self._table(conn, batch, relation, numbers, concerned, receivers)
            else:
                await self._as_json(
                    conn, batch, numbers, {c.name: "json" for c in relation.columns if c.type_oid == JSON}
                )
        return receivers

    async def _table(
        self,
        conn: Connection,
        batch: Batch,
        relation: Relation,
        numbers: Sequence[int],
        concerned: Sequence[Subscription],
        receivers: list[Receivers],
    ) -> None:
        there = await self._visibility.names(conn, relation)
        if not there:  # the table was dropped: nothing is said of it
            return
        for column in relation.columns:
            if column.name not in there:
                raise Poisoned(f'column "{column.name}" of relation "{relation.name}" does not exist')
        described: dict[str, Described] = {}
        for item in concerned:
            role = item.identity.role
            if role not in described:
                described[role] = await self._visibility.describe(conn, relation, role)
        any_role = next(iter(described.values()))
        rendered = await self._rendered(conn, batch, numbers, any_role)
        visible: dict[Identity, set[int]] = {}
        for item in concerned:
            if item.identity not in visible:
                table = described[item.identity.role]
                visible[item.identity] = await self._visible(
                    conn, batch, relation, numbers, table, item.identity
                )
        passing = {
            item: await self._passing(conn, batch, numbers, described[item.identity.role], item)
            for item in concerned
            if item.wanted.filters
        }
        for number in numbers:
            seers = [
                Seer(
                    item,
                    described[item.identity.role],
                    visible=number in visible[item.identity],
                    passes=number in passing.get(item, (number,)),
                )
                for item in concerned
            ]
            receivers[number] = receivers_of(batch.changes[number][0], rendered[number], seers)

    async def _rendered(
        self, conn: Connection, batch: Batch, numbers: Sequence[int], table: Described
    ) -> dict[int, records.Rendered]:
        cast = await self._as_json(conn, batch, numbers, table.cast, table.key)
        return {
            number: records.render(*_with_key(batch.changes[number], table), self._max_record_bytes(), cast)
            for number in numbers
        }

    async def _as_json(
        self,
        conn: Connection,
        batch: Batch,
        numbers: Sequence[int],
        types: Mapping[str, str],
        key: Sequence[str] = (),
    ) -> dict[str, dict[bytes, bytes]]:
        """By column, what PostgreSQL makes of its values. types: of the columns that it is asked for."""
        cast: dict[str, dict[bytes, bytes]] = {}
        for column, type_name in types.items():
            values = []
            for number in numbers:
                new, old = records.rows_of(batch.changes[number][0], key)
                found = ((row or {}).get(column) for row in (new, old))
                values += [value for value in found if isinstance(value, bytes)]
            if values:
                cast[column] = await self._visibility.as_json(conn, type_name, values)
        return cast

    async def _visible(
        self,
        conn: Connection,
        batch: Batch,
        relation: Relation,
        numbers: Sequence[int],
        table: Described,
        identity: Identity,
    ) -> set[int]:
        visible, keys = to_ask({number: batch.changes[number][0] for number in numbers}, table)
        if not keys:
            return visible
        return visible | await self._visibility.visible(conn, identity, relation, table, keys)

    async def _passing(
        self, conn: Connection, batch: Batch, numbers: Sequence[int], table: Described, item: Subscription
    ) -> set[int]:
        rows = {}
        for number in numbers:
            new, old = records.rows_of(batch.changes[number][0], table.key)
            row = new if new is not None else old
            rows[number] = {name: text_of(value) for name, value in (row or {}).items()}
        return await self._visibility.passing(conn, item.wanted.filters, table, rows)


def _with_key(numbered: tuple[Change, int], table: Described) -> tuple[Change, tuple[str, ...], int]:
    return numbered[0], table.key, numbered[1]
