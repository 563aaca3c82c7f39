"""What is refused, and that the way out has an order in which PostgreSQL takes it."""

from __future__ import annotations

from typing import Any

import pytest

from migctl.errors import Refused
from migctl.schema.adoption.refusals import in_one, refusals, way_out
from migctl.schema.adoption.shape import Column, Dependent
from tests.kit.shapes import column, index, shape

NOWHERE: frozenset[str] = frozenset()


def told(*columns: Column, in_place: frozenset[str] = NOWHERE, **more: Any) -> list[str]:
    return [one.what for one in refusals(shape(*columns, **more), in_place=in_place)]


def test_the_table_of_the_roadmap_is_taken_as_it_is() -> None:
    assert told() == []


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (
            column("seq", "bigint", generated="generated always as identity"),
            "t.seq is generated always as identity",
        ),
        (column("seq", "bigint", not_null=False, default="nextval('s')"), "t.seq has a default"),
        (column("epoch", "text[]", not_null=False), "t.epoch is text[]"),
        (column("source", "text[]"), "t.source is text[]"),
        (column("tenant", "text"), "t.tenant is not ours"),
        (column("source", "text", not_null=False, nulls=2), "t.source is null in 2 rows"),
        (column("source", "text", generated="generated always as (...) stored"), "t.source is generated"),
    ],
)
def test_a_column_that_would_fail_every_insert_is_named(bad: Column, what: str) -> None:
    [one] = refusals(shape(bad), in_place=NOWHERE)
    assert one.what.startswith(what)
    assert one.first


def test_what_refers_goes_before_the_key_and_the_key_before_its_column() -> None:
    key = index("old", "n", unique=True, primary=True, constraint="old")
    found = refusals(
        shape(
            column("n", "integer"), indexes=(key,), referring=(("old", "alter table notes drop", "again"),)
        ),
        in_place=NOWHERE,
    )
    assert way_out(found) == (
        "alter table notes drop;",
        'alter table t drop constraint "old";',
        'alter table t alter column "n" drop not null;',
    )


def test_what_refers_to_a_unique_column_goes_before_its_constraint() -> None:
    unique = index("u", "id", unique=True, constraint="u")
    found = refusals(
        shape(column("id", "text"), indexes=(unique,), referring=(("u", "alter table notes drop", "again"),)),
        in_place=NOWHERE,
    )
    assert way_out(found) == ("alter table notes drop;", 'alter table t drop constraint "u";')


def test_values_that_can_not_be_converted_are_changed_by_a_statement_or_by_a_person() -> None:
    [one] = refusals(shape(column("id", "text"), bad={"id": "no uuid"}), in_place=NOWHERE)
    assert way_out([one])[0].startswith('update t set "id" = md5("id") where')
    [one] = refusals(shape(column("data", "json"), bad={"data": "no null"}), in_place=NOWHERE)
    assert (one.first, "no null" in one.what, "another value" in one.words) == ((), True, True)


def test_a_name_that_is_taken_is_not_given_again() -> None:
    found = refusals(
        shape(column("seq", "integer"), column("old_seq", "integer", not_null=False)), in_place=NOWHERE
    )
    assert way_out(found)[0] == 'alter table t rename column "seq" to old_seq_2;'


def test_an_index_of_a_column_that_is_changed_where_it_stands_stays() -> None:
    by_time = index("by_time", "timestamp")
    narrow = column("timestamp", "timestamp without time zone")
    slow = refusals(shape(narrow, indexes=(by_time,)), in_place=NOWHERE)
    assert way_out(slow) == ('drop index concurrently "public"."by_time";',)
    assert slow[0].afterwards == ("CREATE INDEX CONCURRENTLY by_time ON t USING btree (x);",)
    assert told(narrow, indexes=(by_time,), in_place=frozenset({"timestamp"})) == []


def test_a_view_stops_every_change_of_a_type_and_a_constraint_only_a_replacement() -> None:
    view = Dependent("data", "view v", False, "drop view v", "create view v as select 1")
    rule = Dependent("data", "constraint c", True, "alter table t drop constraint c", None)
    narrow = column("data", "json")
    for in_place, names in ((frozenset({"data"}), ["view v"]), (NOWHERE, ["view v", "constraint c"])):
        found = told(narrow, dependents=(view, rule), in_place=in_place)
        assert [one.partition(" is made")[0] for one in found] == names
    assert told(dependents=(view, rule)) == []


def test_updates_are_asked_about_only_where_there_are_any() -> None:
    acts = ("trigger history",)
    assert told(updated_by=acts) == []
    [one] = refusals(shape(without=("created_at",), updated_by=acts), in_place=NOWHERE)
    assert one.first[0][1] == 'alter table t disable trigger "history"'


def test_updates_of_a_published_table_without_a_key_need_an_identity() -> None:
    narrow = column("id", "text")
    full = "alter table t replica identity full;"
    without_key = {"indexes": (), "publishes_updates": True}
    assert way_out(refusals(shape(narrow, **without_key), in_place=NOWHERE)) == (full,)
    assert told(**without_key) == []
    assert told(narrow, **without_key, known_by="full") == []


def test_all_are_told_in_one_with_what_is_to_be_made_again() -> None:
    one = in_one(
        refusals(
            shape(column("timestamp", "timestamp(3) without time zone"), indexes=(index("i", "timestamp"),)),
            in_place=NOWHERE,
        )
    )
    assert isinstance(one, Refused)
    assert one.do.splitlines()[0].endswith("in this order, then migctl schema apply again:")
    assert "and when it is applied:" in one.do
    [other] = refusals(shape(ordinary=False), in_place=NOWHERE)
    assert in_one([other]).do == "rename it, and run this again"
