"""A filter that PostgreSQL would refuse is refused when it is asked for, in the real server's words, and costs nobody a row."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.standin.conftest import Site
from tests.integration.standin.test_realtime import wire

TABLE = """
create table public.kinds (id bigint primary key, n int, t text, v varchar(3), c char(3), ok boolean, u uuid, tags text[], b bytea);
grant all on public.kinds to authenticated;
alter publication supabase_realtime add table public.kinds;
"""
MANY = ",".join(str(n) for n in range(101))


@pytest.fixture(scope="module")
def prepared(running: Site) -> Site:
    running.sql(TABLE)
    return running


@pytest.fixture
def site(prepared: Site) -> Site:
    prepared.sql("truncate kinds")
    return prepared


def binding(text: str) -> dict[str, Any]:
    return {"event": "*", "schema": "public", "table": "kinds", "filter": text}


REFUSED = [
    ("n=eq.x", 'ERROR 22P02 (invalid_text_representation) invalid input syntax for type integer: "x"'),
    ("id=eq.", 'ERROR 22P02 (invalid_text_representation) invalid input syntax for type bigint: ""'),
    ("n=eq.99999999999", 'value "99999999999" is out of range for type integer'),
    ("u=neq.1", 'invalid input syntax for type uuid: "1"'),
    ("n=not.isdistinct.x", 'invalid input syntax for type integer: "x"'),
    ("n=in.(1,x)", 'invalid input syntax for type integer: "x"'),
    ("tags=eq.a", 'malformed array literal: "a"'),
    (f"n=in.({MANY})", "ERROR P0001 (raise_exception) too many values for `in` filter. Maximum 100"),
    ("n=like.1%", "operator like requires a text-compatible column type, got integer"),
    ("v=ilike.a%", "operator ilike requires a text-compatible column type, got character varying"),
    ("v=match.a", "operator match requires a text-compatible column type, got character varying"),
    ("n=imatch.1", "operator imatch requires a text-compatible column type, got integer"),
    (
        "t=match.(",
        "invalid regular expression for match filter: invalid regular expression: parentheses () not balanced",
    ),
    ("n=is.true", "is true filter requires a boolean column, got integer"),
    ("n=is.nothing", "invalid value for is filter: must be null, true, false, or unknown"),
    ("missing=eq.1", "ERROR P0001 (raise_exception) invalid column for filter missing"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED, ids=[text[:20] for text, _ in REFUSED])
async def test_it_is_refused_and_the_channel_stays_joined(site: Site, text: str, words: str) -> None:
    async with wire(site) as one:
        answer = await one.join("t", site.token(), postgres_changes=[binding(text)])
        assert answer["status"] == "ok"
        system = await one.next("system")
        assert (system["status"], system["extension"]) == ("error", "postgres_changes")
        assert system["message"].startswith(
            "Unable to subscribe to changes with given parameters. An exception happened"
        )
        assert words in system["message"]
        await one.send("realtime:t", "broadcast", {"type": "broadcast", "event": "e", "payload": {}})
        assert (await one.next("phx_reply"))["status"] == "ok"


async def test_a_choice_of_columns_that_are_not_there_is_refused_as_such(site: Site) -> None:
    async with wire(site) as one:
        asked = {"event": "*", "schema": "public", "table": "kinds", "select": ["missing"]}
        await one.join("t", site.token(), postgres_changes=[asked])
        assert "invalid column for select missing" in (await one.next("system"))["message"]


async def test_one_bad_filter_of_a_channel_refuses_all_of_it_and_nobody_else_loses_a_row(site: Site) -> None:
    async with wire(site) as one, wire(site) as other:
        await one.join("t", site.token(), postgres_changes=[binding("n=gt.0"), binding("n=eq.x")])
        assert (await one.next("system"))["status"] == "error"
        await other.join("t", site.token(), postgres_changes=[binding("n=gt.0")])
        assert (await other.next("system"))["status"] == "ok"
        site.sql("insert into kinds (id, n) values (1, 1)")
        assert (await other.next("postgres_changes"))["data"]["record"]["n"] == 1


TAKEN = [
    ("n=in.(1,2)", True),
    ("n=in.()", False),
    ("n=not.eq.2", True),
    ("t=like.a%", True),
    ("c=like.a%", True),
    ("t=imatch.^A", True),
    ("ok=is.true", True),
    ("n=is.null", False),
    ("v=eq.abc", True),
    ("v=eq.abcd", False),
    ("c=eq.axx", True),  # of char(n) the real server compares the first character alone
    ("b=eq.61", True),  # of bytea it has the hex, and takes that for the bytes
    ("b=eq.\\x61", False),
]


@pytest.mark.parametrize(("text", "passes"), TAKEN, ids=[text for text, _ in TAKEN])
async def test_what_it_takes_it_compares_by_the_type_without_its_length(
    site: Site, text: str, passes: bool
) -> None:
    async with wire(site) as one:
        await one.join("t", site.token(), postgres_changes=[binding(text), binding("id=eq.2")])
        system = await one.next("system")
        assert system["status"] == "ok", system
        site.sql("insert into kinds values (1, 1, 'abc', 'abc', 'abc', true, null, null, 'a')")
        site.sql("insert into kinds (id) values (2)")
        found = [(await one.next("postgres_changes"))["data"]["record"]["id"]]
        while found[-1] != 2:
            found.append((await one.next("postgres_changes"))["data"]["record"]["id"])
        assert (1 in found) == passes
