"""equal() against the real jsonb: its round trip is always the same document, and it draws the line where equal() does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migctl.events.canonical import canonical
from migctl.events.equality import Equality, equal
from migctl.stack.postgres import Postgres
from tests.kit.documents import objects, plain, respelled


@pytest.fixture(scope="module")
def connection(postgres: Postgres) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres.admin_url(), autocommit=True) as opened:
        yield opened


def through_jsonb(connection: psycopg.Connection[Any], text: str) -> str | None:
    """The document as jsonb gives it back; None where it refuses it."""
    try:
        row = connection.execute("select %s::jsonb::text", [text]).fetchone()
    except psycopg.DataError:
        return None
    assert row is not None
    return str(row[0])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
@pytest.mark.slow
def test_a_round_trip_through_jsonb_is_the_same_document(
    connection: psycopg.Connection[Any], data: st.DataObject
) -> None:
    text = data.draw(respelled(data.draw(objects)))
    back = through_jsonb(connection, text)
    if back is not None:
        assert equal(text.encode(), back.encode()) is Equality.SAME
        assert canonical(text.encode()) == canonical(back.encode())


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(objects, objects)
def test_equal_says_same_exactly_where_jsonb_does(
    connection: psycopg.Connection[Any], a: dict[str, Any], b: dict[str, Any]
) -> None:
    left, right = plain(a), plain(b)
    try:
        row = connection.execute("select %s::jsonb = %s::jsonb", [left, right]).fetchone()
    except psycopg.DataError:
        return
    assert row is not None
    assert (equal(left.encode(), right.encode()) is Equality.SAME) == row[0]


def test_random_doubles_survive_jsonb(connection: psycopg.Connection[Any]) -> None:
    seeded = random.Random(7)
    doubles = [seeded.uniform(-1, 1) * 10.0 ** seeded.randint(-30, 30) for _ in range(20_000)]
    text = '{"n":[' + ",".join(map(repr, doubles)) + "]}"
    back = through_jsonb(connection, text)
    assert back is not None
    assert equal(text.encode(), back.encode()) is Equality.SAME


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ('{"bb":1,"a":2,"bb":3}', '{"a": 2, "bb": 3}'),
        ('{"a":1.10}', '{"a": 1.10}'),
        ('{"a":1e2}', '{"a": 100}'),
        ('{"a":-0}', '{"a": 0}'),
        ('{"a":"\\u00e9\\/"}', '{"a": "é/"}'),
    ],
)
def test_jsonb_still_respells_as_we_think(connection: psycopg.Connection[Any], text: str, back: str) -> None:
    assert through_jsonb(connection, text) == back
    assert equal(text.encode(), back.encode()) is Equality.SAME


@pytest.mark.parametrize("text", ['{"a":"\\u0000"}', '{"a":"\\ud800"}', '{"a":1e400000}'])
def test_what_jsonb_refuses_can_still_be_compared(connection: psycopg.Connection[Any], text: str) -> None:
    assert through_jsonb(connection, text) is None
    assert equal(text.encode(), text.replace(":", " : ").encode()) is Equality.SAME
