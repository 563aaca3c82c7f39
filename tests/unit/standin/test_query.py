"""The SQL that a request becomes: bounded, filtered, and with every value as a parameter."""

from __future__ import annotations

import pytest

from migctl.stack.standin.rest import query
from migctl.stack.standin.rest.catalog import Table
from migctl.stack.standin.rest.request import parse

TABLE = Table("public", "events", {"id": "uuid", "seq": "bigint", "data": "jsonb"}, ("id",), {"seq": "0"})


@pytest.mark.parametrize(
    ("asked", "limit"), [([], 1000), ([("limit", "5")], 5), ([("limit", "100000")], 1000)]
)
def test_no_read_answers_more_rows_than_the_server_allows(asked: list[tuple[str, str]], limit: int) -> None:
    assert f"LIMIT {limit} OFFSET 0" in query.read(TABLE, parse(asked), max_rows=1000, count=False).sql


def test_count_goes_over_all_rows_that_the_filters_name() -> None:
    statement = query.read(TABLE, parse([("seq", "gt.5")]), max_rows=2, count=True)
    counted = statement.sql.partition("pgrst_source_count AS (")[2].partition(")")[0]
    assert '"seq" > $1' in counted
    assert "LIMIT" not in counted
    assert statement.params == ["5"]


def test_an_update_of_no_column_changes_nothing() -> None:
    assert "UPDATE" not in query.update(TABLE, parse([]), "{}", [], representation=True).sql


def test_value_of_a_filter_never_stands_in_the_text() -> None:
    evil = "'; drop table events; --"
    for statement in (
        query.read(TABLE, parse([("data", f"eq.{evil}")]), max_rows=1, count=True),
        query.delete(TABLE, parse([("data", f"eq.{evil}")]), representation=False),
        query.update(TABLE, parse([("data", f"eq.{evil}")]), "{}", ["seq"], representation=False),
    ):
        assert evil not in statement.sql
        assert evil in statement.params


@pytest.mark.parametrize(
    ("resolution", "conflict"),
    [
        (None, None),
        ("ignore-duplicates", 'ON CONFLICT ("id") DO NOTHING'),
        ("merge-duplicates", 'ON CONFLICT ("id") DO UPDATE SET "seq" = EXCLUDED."seq"'),
    ],
)
def test_conflict_is_resolved_as_the_request_prefers(resolution: str | None, conflict: str | None) -> None:
    sql = query.insert(
        TABLE, parse([]), '[{"seq":1}]', ["seq"], resolution=resolution, representation=False
    ).sql
    assert ("ON CONFLICT" in sql) == (conflict is not None)
    assert conflict is None or conflict in sql


def test_body_goes_to_the_database_whole() -> None:
    body = '[{"seq":1,"data":{"n":1.10}}]'
    statement = query.insert(TABLE, parse([]), body, ["seq", "data"], resolution=None, representation=True)
    assert statement.params[0] == body
    assert "1.10" not in statement.sql
    assert "json_to_recordset" in statement.sql
