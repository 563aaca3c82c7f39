"""postgres_changes, from the write-ahead log of a real PostgreSQL to the callbacks of the official client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from supabase import AsyncClient

from tests.conformance.standin.test_official_python import client
from tests.integration.standin.conftest import Site, Start, eventually
from tests.integration.standin.test_realtime import wire


@pytest.fixture
def site(alone: Site) -> Site:
    """What one test commits may be told to the subscribers of the next, so each has its own."""
    return alone


class Watch:
    """A subscription to a table, and what it was told."""

    def __init__(
        self, supabase: AsyncClient, table: str | None = "notes", event: str = "*", **more: Any
    ) -> None:
        self.channel = supabase.channel(f"watch {table} {event} {more}")
        self.changes: list[dict[str, Any]] = []
        self.ready = asyncio.Event()
        self.refused: list[str] = []
        self.channel.on_postgres_changes(
            event, lambda change: self.changes.append(dict(change["data"])), table, **more
        )  # type: ignore[arg-type]
        self.channel.on_system(lambda message: self.ready.set())

    async def begin(self) -> Watch:
        await self.channel.subscribe(lambda state, error: self.refused.append(str(error)) if error else None)
        async with asyncio.timeout(10):
            await self.ready.wait()
        return self

    async def hears(self, count: int, seconds: float = 5) -> list[dict[str, Any]]:
        await eventually(lambda: len(self.changes) >= count, seconds)
        return self.changes

    @property
    def records(self) -> list[Any]:
        return [change["record"]["seq"] for change in self.changes]


async def test_an_upsert_reaches_a_subscriber_as_authenticated(site: Site) -> None:
    async with (
        client(site, site.token(sub="ann")) as user,
        client(site, key=site.keys.service_role_key) as boss,
    ):
        watch = await Watch(user).begin()
        rows = [{"seq": 1, "kind": "x", "data": {"n": 1}}, {"seq": 2, "kind": "y", "data": {"text": 'ü"\n'}}]
        await boss.table("notes").upsert(rows, on_conflict="seq", ignore_duplicates=True).execute()
        first, second = await watch.hears(2)
        assert (first["type"], first["schema"], first["table"], first["errors"]) == (
            "INSERT",
            "public",
            "notes",
            None,
        )
        assert first["record"]["data"] == {"n": 1}
        assert second["record"]["data"] == {"text": 'ü"\n'}
        assert first["columns"][0] == {"name": "id", "type": "uuid"}
        assert first["commit_timestamp"].endswith("Z")
        await (
            boss.table("notes")
            .upsert([*rows, {**rows[0], "seq": 3}], on_conflict="seq", ignore_duplicates=True)
            .execute()
        )
        await watch.hears(3)
        assert watch.records == [1, 2, 3]


async def test_updates_and_deletes_are_told(site: Site) -> None:
    async with client(site, site.token()) as user:
        watch = await Watch(user).begin()
        site.sql("insert into notes (id, seq) values ('00000000-0000-0000-0000-000000000001', 1)")
        site.sql("update notes set kind = 'new' where seq = 1")
        await watch.hears(2)
        site.sql("delete from notes where seq = 1")
        _, update, delete = await watch.hears(3)
        assert update["record"]["kind"] == "new"
        assert update["old_record"] == {"id": "00000000-0000-0000-0000-000000000001"}
        assert delete["old_record"] == {"id": "00000000-0000-0000-0000-000000000001"}
        assert "record" not in delete


async def test_rows_that_a_policy_hides_are_not_told(site: Site) -> None:
    async with (
        client(site, site.token(sub="ann")) as ann,
        client(site, site.token(sub="bob")) as bob,
        client(site) as anon,
    ):
        hers, his, nobodys = await Watch(ann).begin(), await Watch(bob).begin(), await Watch(anon).begin()
        site.sql("insert into notes (seq, owner) values (1, 'ann'), (2, 'bob'), (3, null)")
        await hers.hears(2)
        await his.hears(2)
        assert hers.records == [1, 3]
        assert his.records == [2, 3]
        assert nobodys.changes == []


async def test_columns_without_a_grant_are_left_out(site: Site) -> None:
    site.sql("revoke all on plain from authenticated; grant select (id, name) on plain to authenticated")
    async with client(site, site.token()) as user:
        watch = await Watch(user, "plain").begin()
        site.sql("insert into plain (id, name, secret) values (1, 'a', 'hidden')")
        (change,) = await watch.hears(1)
        assert change["record"] == {"id": 1, "name": "a"}
        assert [column["name"] for column in change["columns"]] == ["id", "name"]


async def test_values_have_the_json_that_postgresql_gives_them(site: Site) -> None:
    async with client(site, site.token()) as user:
        watch = await Watch(user, "plain").begin()
        site.sql(
            "insert into plain values (1, 'a\"b', null, array['x','y z'], 1234567890.123456789, '2024-01-02 03:04:05.5', true),"
            " (2, null, '', '{}', 'NaN', null, false)"
        )
        await watch.hears(2)
        site.sql("update plain set price = null where price = 'NaN'")  # the real server's decoder has no NaN
        expected = [
            json.loads(row[0]) for row in site.sql("select to_jsonb(p)::text from plain p order by id")
        ]
        assert [change["record"] for change in watch.changes[:2]] == expected


async def test_values_whose_length_is_of_their_type_are_cut_and_bytes_are_bare_hex(site: Site) -> None:
    site.sql(
        "create table odd (id oid primary key, c char(3), cs char(3)[], b bit(3), raw bytea, f float8, n numeric(5, 2));"
        " grant select on odd to authenticated; alter publication supabase_realtime add table odd"
    )
    async with client(site, site.token()) as user:
        watch = await Watch(user, "odd").begin()
        site.sql("insert into odd values (7, 'abc', '{abc,d}', '101', '\\x00ff', 'Infinity', 1.5)")
        (change,) = await watch.hears(1)
    wanted = {"id": "7", "c": "a", "cs": ["a", "d"], "b": "1", "raw": "00ff", "f": None, "n": 1.5}
    assert change["record"] == wanted


@pytest.mark.parametrize(
    ("sql", "error", "rows"),
    [
        ("insert into keyless values ('a')", "Error 400: Bad Request, no primary key", {"record"}),
        ("insert into plain (id) values (1)", "Error 401: Unauthorized", {"record"}),
        ("update plain set name = 'b' where id = 2", "Error 401: Unauthorized", {"record", "old_record"}),
    ],
    ids=["400", "401", "401 of an update"],
)
async def test_a_change_that_may_not_be_sent_is_empty_and_names_the_error(
    site: Site, sql: str, error: str, rows: set[str]
) -> None:
    """On the wire: the official client drops a change without a moment."""
    site.sql("insert into plain (id) values (2); revoke all on plain from authenticated")
    site.sql("grant select (name) on plain to authenticated")
    bindings = [{"event": "*", "schema": "public", "table": table} for table in ("keyless", "plain")]
    async with wire(site) as one:
        await one.join("t", site.token(), postgres_changes=bindings)
        assert (await one.next("system"))["status"] == "ok"
        site.sql(sql)
        change = (await one.next("postgres_changes"))["data"]
    assert change["errors"] == [error]
    assert (change["columns"], change["commit_timestamp"]) == ([], None)
    assert {name: change[name] for name in change if name.endswith("record")} == {row: {} for row in rows}


async def test_filters_are_kept(site: Site) -> None:
    expected = {
        "kind=eq.odd": [1, 3, 5],
        "seq=gt.3": [4, 5],
        "seq=in.(1,4)": [1, 4],
        "seq=not.in.(1,4)": [2, 3, 5],
        "seq=gte.2,kind=neq.odd": [2, 4],
        "kind=like.e%": [2, 4],
        "owner=is.null": [1, 2, 3, 4, 5],
    }
    async with client(site, site.token()) as user:
        watches = {text: await Watch(user, filter=text).begin() for text in expected}
        site.sql(
            "insert into notes (seq, kind)"
            " select n, (array['even', 'odd'])[1 + (n & 1)] from generate_series(1, 5) n"
        )
        await watches["owner=is.null"].hears(5)
        assert {text: watch.records for text, watch in watches.items()} == expected


async def test_only_the_events_asked_for_are_told(site: Site) -> None:
    async with client(site, site.token()) as user:
        inserts, updates = (
            await Watch(user, event="INSERT").begin(),
            await Watch(user, event="UPDATE").begin(),
        )
        site.sql("insert into notes (seq) values (1)")
        site.sql("update notes set kind = 'new'")
        await inserts.hears(1)
        await updates.hears(1)
        assert [change["type"] for change in inserts.changes + updates.changes] == ["INSERT", "UPDATE"]


async def test_bindings_of_one_channel_each_get_their_own(site: Site) -> None:
    async with client(site, site.token()) as user:
        watch = Watch(user, "notes", filter="seq=eq.1")
        other: list[Any] = []
        watch.channel.on_postgres_changes(
            "INSERT", lambda change: other.append(change["data"]["record"]), "plain"
        )  # type: ignore[arg-type]
        await watch.begin()
        site.sql("insert into notes (seq) values (1), (2)")
        site.sql("insert into plain (id) values (7)")
        await eventually(lambda: bool(other) and bool(watch.changes))
        assert watch.records == [1]
        assert [row["id"] for row in other] == [7]


async def test_a_table_without_publication_is_refused_and_the_channel_stays(site: Site) -> None:
    async with client(site, site.token()) as user:
        watch = Watch(user, "unpublished")
        await watch.channel.subscribe(lambda state, error: watch.refused.append(f"{state.value} {error}"))
        await eventually(lambda: "Unable to subscribe to changes with given parameters" in str(watch.refused))


async def test_column_lists_row_filters_and_partition_roots_of_the_publication_do_not_count(
    alone: Site,
) -> None:
    alone.sql(
        "alter publication supabase_realtime drop table plain;"
        " alter publication supabase_realtime add table plain (id) where (id > 5);"
        " create table parts (id int primary key) partition by range (id);"
        " create table parts_1 partition of parts for values from (0) to (9);"
        " alter publication supabase_realtime add table parts;"
        " alter publication supabase_realtime set (publish_via_partition_root = true)"
    )
    async with client(alone, alone.token()) as user:
        watch, whole = await Watch(user, "plain").begin(), await Watch(user, "parts").begin()
        alone.sql("insert into parts values (1)")
        alone.sql("insert into plain (id, name) values (1, 'a')")
        (change,) = await watch.hears(1)
        assert (change["record"]["id"], change["record"]["name"]) == (1, "a")
        assert [column["name"] for column in change["columns"]][:3] == ["id", "name", "secret"]
        assert whole.changes == []


async def test_a_change_of_a_table_that_is_unpublished_before_the_poll_is_told_to_nobody(alone: Site) -> None:
    async with client(alone, alone.token()) as user:
        watch, notes = await Watch(user, "plain").begin(), await Watch(user).begin()
        alone.sql(
            "insert into plain (id) values (1); alter publication supabase_realtime drop table plain;"
            " insert into notes (seq) values (1)"
        )
        await notes.hears(1)
        assert watch.changes == []


async def test_a_row_too_large_comes_short_with_error_413(site: Site) -> None:
    async with client(site, site.token()) as user:
        watch = await Watch(user).begin()
        site.sql(
            "insert into notes (seq, kind, data) values (1, 'k', jsonb_build_object('x', repeat('x', 1048700)))"
        )
        site.sql("insert into notes (seq, data) values (2, jsonb_build_object('x', repeat('x', 1000000)))")
        large, fits = await watch.hears(2)
        assert large["errors"] == ["Error 413: Payload Too Large"]
        assert set(large["record"]) == {"id", "seq", "kind", "made"}  # what is null is not there either
        assert fits["errors"] is None


async def test_rows_wait_for_the_next_poll_when_nothing_came_before(site: Site) -> None:
    async with client(site, site.token()) as user:
        watch = await Watch(user).begin()
        waits = []
        for seq in range(1, 7):
            began = asyncio.get_running_loop().time()
            site.sql("insert into notes (seq) values (%s)", seq)
            await watch.hears(seq)
            waits.append(asyncio.get_running_loop().time() - began)
        assert max(waits) > 0.2
        assert max(waits) < 1.5


async def test_what_is_committed_while_postgresql_is_away_is_lost_and_the_stream_comes_back(
    site: Site,
) -> None:
    async with client(site, site.token()) as user:
        watch = await Watch(user).begin()
        site.sql("insert into notes (seq) values (1)")
        await watch.hears(1)
        killed = site.sql(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where application_name = 'migctl stand-in' and datname = current_database()"
        )
        assert killed[0][0] >= 1
        site.sql("insert into notes (seq) values (2)")
        # A later row comes through as soon as there is a slot again.
        seq = 2
        while 2 not in watch.records and len(watch.changes) < 2:
            seq += 1
            site.sql("insert into notes (seq) values (%s)", seq)
            await asyncio.sleep(0.05)
        assert 2 not in watch.records
        async with site.rest(site.token()) as rest:
            assert (await rest.get("/notes", params={"select": "seq"})).status_code in (200, 503)
            assert (await rest.get("/notes", params={"select": "seq"})).status_code == 200


@pytest.mark.slow
async def test_above_the_rate_limit_rows_are_skipped_in_silence(start: Start) -> None:
    site = start("--rates", "self-hosted")
    async with client(site, site.token()) as user:
        watch = await Watch(user).begin()
        site.sql("insert into notes (seq) select generate_series(1, 1500)")
        await watch.hears(1500)

        def later_rows_are_lost() -> bool:
            site.sql("insert into notes (seq) select coalesce(max(seq), 0) + 1 from notes")
            told, there = len(watch.changes), site.sql("select count(*) from notes")[0][0]
            return bool(there - told > 50)

        await eventually(later_rows_are_lost, 20)


async def test_order_of_commit_is_kept_across_many_transactions(site: Site) -> None:
    async with client(site, site.token()) as user:
        watch = await Watch(user).begin()
        for seq in range(1, 301):
            site.sql("insert into notes (seq) values (%s)", seq)
        await watch.hears(300, 10)
        assert watch.records == list(range(1, 301))
