"""What of a live catalog differs from what the files make. What can't be read is a difference, never a pass."""

from __future__ import annotations

import pytest

from migctl.schema import expected
from migctl.schema.catalog import Live
from migctl.schema.verification import differences

SOURCES = {function.name: "body" for function in expected.FUNCTIONS}


def empty() -> Live:
    return Live(
        tables={},
        functions=[],
        roles={},
        usage=frozenset(),
        trusted=frozenset(),
        publication_inserts=None,
        messages_rls=None,
        messages_policies={},
        messages_readable=False,
    )


@pytest.mark.parametrize("table", [table.name for table in expected.TABLES])
def test_table_that_is_not_there_is_a_difference_with_the_way_out(table: str) -> None:
    found = [each for each in differences(empty(), "monitoring", sources=SOURCES) if table in each.what]
    assert [(each.found, each.do) for each in found] == [("missing", "migctl schema apply")]


@pytest.mark.parametrize("function", [function.name for function in expected.FUNCTIONS])
def test_function_that_is_not_there_is_a_difference(function: str) -> None:
    assert [each for each in differences(empty(), "monitoring", sources=SOURCES) if function in each.what]


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_role_that_is_not_there_is_a_difference_with_the_statement(role: str) -> None:
    found = {each.what: each.do for each in differences(empty(), "public", sources=SOURCES)}
    assert found[f"role {role}"] == f"create role {role} nologin;"


def test_publication_and_policies_that_nobody_could_read_are_differences() -> None:
    text = " ".join(str(each) for each in differences(empty(), "public", sources=SOURCES))
    assert expected.PUBLICATION in text
    assert "realtime" in text
