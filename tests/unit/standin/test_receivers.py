"""Who gets a change of the stand-in, each cell of the tables of `receivers`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from migctl.stack.standin.auth import Identity
from migctl.stack.standin.realtime import records
from migctl.stack.standin.realtime.bindings import Wanted
from migctl.stack.standin.realtime.frames import Version
from migctl.stack.standin.realtime.receivers import Seer, error_of, receivers_of, to_ask
from migctl.stack.standin.realtime.records import Described
from migctl.stack.standin.realtime.subscriptions import Feed, Subscription
from migctl.stack.standin.wal.pgoutput import Action, Change, Column, Relation

TABLE = Relation(1, "public", "todos", (Column("id", 20, True), Column("text", 25, False)))
SEEN = Described(
    columns=(("id", "int8"), ("text", "text")),
    types={"id": "bigint", "text": "text"},
    key=("id",),
    readable=frozenset({"id", "text"}),
    rls=True,
    cast={},
    bare={"id": "bigint", "text": "text"},
)
NO_KEY = replace(SEEN, key=())
KEY_HIDDEN = replace(SEEN, readable=frozenset({"text"}))


class Nobody:
    version: Version = "1.0.0"
    hears = True
    follows = True

    def push(self, frame: bytes) -> None: ...

    def shut_down(self, reason: str) -> None: ...


def feed() -> Feed:
    return Feed("realtime:a", Nobody(), lost=lambda: None, forget=lambda feed: None)


def subscription(
    of: Feed, *, id_: int = 1, event: str = "*", columns: tuple[str, ...] | None = None
) -> Subscription:
    wanted = Wanted(event=event, schema="public", table="todos", filters=(), columns=columns)
    identity = Identity(role="authenticated", claims="{}", sub="", exp=None)
    return Subscription(id_, wanted, identity, frozenset({1}), of)


def change(action: Action, id_: bytes = b"1") -> Change:
    row = (id_, b"x")
    match action:
        case "INSERT":
            return Change(action, TABLE, row, None)
        case "DELETE":
            return Change(action, TABLE, None, row)
    return Change(action, TABLE, row, row)


def rendered(of: Change, table: Described = SEEN) -> records.Rendered:
    return records.render(of, table.key, 0, 1 << 20, {})


def got(of: Change, *seers: Seer) -> list[tuple[tuple[int, ...], Mapping[str, Any]]]:
    return [(ids, json.loads(data)) for _, ids, data in receivers_of(of, rendered(of), seers)]


@pytest.mark.parametrize(
    ("event", "action", "table", "visible", "passes", "errors"),
    [
        ("UPDATE", "INSERT", NO_KEY, True, True, "nothing"),
        ("*", "INSERT", NO_KEY, False, False, [records.NO_KEY]),
        ("UPDATE", "UPDATE", NO_KEY, True, True, [records.NO_KEY]),
        ("*", "UPDATE", KEY_HIDDEN, False, False, [records.UNAUTHORIZED]),
        ("INSERT", "INSERT", KEY_HIDDEN, True, True, [records.UNAUTHORIZED]),
        ("*", "INSERT", SEEN, False, True, "nothing"),
        ("*", "INSERT", SEEN, True, False, "nothing"),
        ("*", "INSERT", SEEN, True, True, None),
        ("INSERT", "INSERT", SEEN, True, True, None),
        ("*", "DELETE", NO_KEY, True, True, None),
        ("DELETE", "DELETE", KEY_HIDDEN, True, True, None),
        ("*", "DELETE", SEEN, False, True, "nothing"),
    ],
)
def test_a_change_goes_by_the_event_the_key_the_row_and_the_filter(
    event: str, action: Action, table: Described, visible: bool, passes: bool, errors: object
) -> None:
    seer = Seer(subscription(feed(), event=event), table, visible=visible, passes=passes)
    found = got(change(action), seer)
    assert [data["errors"] for _, data in found] == ([] if errors == "nothing" else [errors])
    if errors not in ("nothing", None):
        assert found[0][1]["record"] == {}


def test_bindings_of_one_channel_that_get_the_same_get_it_once_and_others_by_themselves() -> None:
    one, other = feed(), feed()
    items = [
        subscription(one, id_=1),
        subscription(one, id_=2, event="INSERT"),
        subscription(one, id_=3, columns=("id",)),
        subscription(other, id_=4),
    ]
    seers = [Seer(item, SEEN, visible=True, passes=True) for item in items]
    made = receivers_of(change("INSERT"), rendered(change("INSERT")), seers)
    assert [(to is one, ids, json.loads(data)["record"]) for to, ids, data in made] == [
        (True, (1, 2), {"id": 1, "text": "x"}),
        (True, (3,), {"id": 1}),
        (False, (4,), {"id": 1, "text": "x"}),
    ]


CHANGES = {0: change("INSERT", b"5"), 1: change("UPDATE", b"6"), 2: change("DELETE", b"7")}


@pytest.mark.parametrize(
    ("table", "visible", "asked"),
    [
        (replace(SEEN, rls=False), {0, 1, 2}, {}),
        (SEEN, {2}, {0: ["5"], 1: ["6"]}),
        (NO_KEY, {2}, {}),
        (KEY_HIDDEN, {2}, {}),
    ],
)
def test_only_rows_under_a_policy_that_are_there_and_may_be_sent_are_asked_for(
    table: Described, visible: set[int], asked: dict[int, list[str]]
) -> None:
    assert to_ask(CHANGES, table) == (visible, asked)


def test_a_deletion_is_refused_to_nobody() -> None:
    assert [error_of(change("DELETE"), table) for table in (SEEN, NO_KEY, KEY_HIDDEN)] == [None, None, None]
