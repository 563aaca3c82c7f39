"""What makes the reading of the slot fail costs every subscriber the batch and the slot, as on the real server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.standin.conftest import Site
from tests.integration.standin.test_realtime import Wire, wire

TABLES = """
create table public.touchy (id bigint primary key, t text, j json);
alter table public.touchy enable row level security;
create policy raises on public.touchy for select using
  (case when auth.jwt() ->> 'sub' = 'eve' then 1 / (length(auth.jwt() ->> 'sub') - 3) = 1 else true end);
create table public.loose (id bigint primary key, t text, j json);
create schema closed;
create table closed.rows (id bigint primary key);
alter table closed.rows enable row level security;
grant select on public.touchy, public.loose, closed.rows to authenticated;
alter publication supabase_realtime add table public.touchy, public.loose, closed.rows;
"""
# By what it is: a binding of somebody else, who that is, and what is committed together with a row of ours.
CAUSES: dict[str, tuple[dict[str, Any] | None, str, str]] = {
    "a policy that raises for one": ({"table": "touchy"}, "eve", "insert into touchy (id) values (1)"),
    "a column that is gone": (
        {"table": "loose"},
        "ann",
        "insert into loose (id, t) values (1, 'a'); alter table loose drop column t",
    ),
    "json that jsonb does not take, of a table that nobody hears": (
        None,
        "ann",
        """insert into loose (id, j) values (1, '{"a": "\\u0000"}')""",
    ),
    "a filter on json": (
        {"table": "loose", "filter": "j=eq.1"},
        "ann",
        "insert into loose (id, j) values (1, '1')",
    ),
    "a schema without usage": (
        {"schema": "closed", "table": "rows"},
        "ann",
        "insert into closed.rows (id) values (1)",
    ),
}


async def heard_until(one: Wire, site: Site) -> set[int]:
    """The numbers of the rows that come, until one of those that are inserted meanwhile does."""
    heard: set[int] = set()
    for number in range(100, 200):
        site.sql("insert into notes (seq) values (%s)", number)
        try:
            while True:
                heard.add((await one.next("postgres_changes", 0.3))["data"]["record"]["seq"])
                if max(heard) >= 100:
                    return heard
        except TimeoutError:
            continue
    raise AssertionError("no row came any more")


@pytest.mark.parametrize("cause", CAUSES)
async def test_the_batch_and_the_slot_are_lost_for_all_and_a_new_one_is_made(alone: Site, cause: str) -> None:
    asked, who, sql = CAUSES[cause]
    alone.sql(TABLES)
    ours = {"event": "*", "schema": "public", "table": "notes"}
    async with wire(alone) as one, wire(alone) as other:
        await one.join("t", alone.token(), postgres_changes=[ours])
        assert (await one.next("system"))["status"] == "ok"
        if asked is not None:
            binding = {"event": "*", "schema": "public", **asked}
            await other.join("t", alone.token(sub=who), postgres_changes=[binding])
            system = await other.next("system")
            assert system["status"] == "ok", system
        alone.sql(f"begin; insert into notes (seq) values (1); {sql}; commit")
        heard = await heard_until(one, alone)
        assert 1 not in heard


async def test_a_policy_that_hides_costs_nobody_anything(alone: Site) -> None:
    alone.sql(TABLES)
    async with wire(alone) as one, wire(alone) as other:
        for each, table in ((one, "notes"), (other, "touchy")):
            binding = {"event": "*", "schema": "public", "table": table}
            await each.join("t", alone.token(sub="ann"), postgres_changes=[binding])
            assert (await each.next("system"))["status"] == "ok"
        alone.sql(
            "begin; insert into notes (seq, owner) values (1, 'bob'), (2, 'ann'); insert into touchy (id) values (1); commit"
        )
        assert (await one.next("postgres_changes"))["data"]["record"]["seq"] == 2
        assert (await other.next("postgres_changes"))["data"]["record"]["id"] == 1


async def test_json_comes_as_jsonb_has_it(alone: Site) -> None:
    alone.sql(TABLES)
    async with wire(alone) as one:
        await one.join(
            "t", alone.token(), postgres_changes=[{"event": "*", "schema": "public", "table": "loose"}]
        )
        assert (await one.next("system"))["status"] == "ok"
        alone.sql("""insert into loose (id, j) values (1, '{"b": 1.0, "a": 1, "a": 2}')""")
        assert (await one.next("postgres_changes"))["data"]["record"]["j"] == {"a": 2, "b": 1.0}
