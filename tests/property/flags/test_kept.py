"""A kept user changes by the rows of the table alone, whatever shares do."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from migctl.flags.assignment import Assignments
from migctl.flags.kept import Kept, keep_drawn, kept_by
from migctl.flags.shares import Shares
from migctl.flags.snapshot import Row, Snapshot
from tests.unit.flags.test_shares import SWITCH, document

USERS = [f"user-{number}" for number in range(25)]


class Keeps:
    """In memory; the store on disk has tests of its own."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], Kept] = {}

    def keeps(self, flag: str) -> bool:
        return True

    def kept(self, flag: str, place: str, user: str) -> Kept | None:
        return self._kept.get((flag, place, user))

    def keep(self, flag: str, place: str, user: str, kept: Kept) -> None:
        self._kept[flag, place, user] = kept


def assignments(percent: int) -> Assignments:
    menu: dict[str, Any] = {
        "state": "ENABLED",
        "variants": {"a": 1, "b": 2},
        "defaultVariant": "a",
        "targeting": {"fractional": [["a", 100 - percent], ["b", percent]]},
    }
    made = document(Shares("realtime", "websocket", percent=percent))
    row = Row(n=1, id="r", document={**made, "flags": {**made["flags"], "menu": menu}})
    return Assignments(SWITCH, Snapshot(target="t").with_row(row))


def ask(keeps: Keeps, of: Assignments, key: str, user: str) -> str:
    context = {"targetingKey": user}
    found = kept_by(keeps, of, key, context)
    answer = of.evaluate(key, context, found.variant if found is not None else None)
    assert answer.variant is not None
    keep_drawn(keeps, of, key, context, answer.variant, answer.reason)
    return answer.variant


@settings(max_examples=200, deadline=None)
@given(percents=st.lists(st.integers(0, 100), min_size=1, max_size=12))
def test_a_user_changes_only_where_nobody_or_everybody_has_a_variant(percents: list[int]) -> None:
    keeps = Keeps()
    drawn: dict[str, str] = {}
    for percent in percents:
        of = assignments(percent)
        for user in USERS:
            now = ask(keeps, of, "menu", user)
            if 0 < percent < 100:
                assert drawn.setdefault(user, now) == now
            else:
                assert now == ("a" if percent == 0 else "b")


@settings(max_examples=200, deadline=None)
@given(percents=st.lists(st.integers(0, 100), min_size=1, max_size=12))
def test_nobody_is_held_on_realtime_and_who_has_websocket_keeps_it_until_all_have_realtime(
    percents: list[int],
) -> None:
    keeps = Keeps()
    held: set[str] = set()
    for percent in percents:
        of = assignments(percent)
        for user in USERS:
            plain = of.evaluate("transport", {"targetingKey": user}).variant
            now = ask(keeps, of, "transport", user)
            if plain == "websocket":
                assert now == "websocket"
            if 0 < percent < 100:
                assert now == ("websocket" if user in held else plain)
                held |= {user} if now == "websocket" else set()
            else:
                assert now == plain
