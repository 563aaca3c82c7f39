"""What a user keeps, and what ends it: a test for each row of the table."""

from __future__ import annotations

from typing import Any

import pytest

from migctl.flags.assignment import Assigned, Assignments
from migctl.flags.evaluator import Evaluation
from migctl.flags.shares import EVERYTHING, Shares
from migctl.flags.snapshot import Brake, Row, Snapshot
from migctl.flags.standard import evaluated
from tests.unit.flags.test_shares import SWITCH, document

USERS = [f"user-{number}" for number in range(200)]


def menu(*parts: tuple[str, int], first: tuple[Any, Any] | None = None, state: str = "ENABLED") -> Snapshot:
    split: dict[str, Any] = {"fractional": [list(part) for part in parts]}
    names = ["a", "b", "c"][: len(parts)]
    flag = {
        "state": state,
        "variants": {name: name.upper() for name in names},
        "defaultVariant": "a",
        "targeting": {"if": [*first, split]} if first is not None else split,
    }
    row = Row(
        n=1,
        id="r",
        document={"flags": {"menu": flag}, "$evaluators": {"segment.eu": {"==": [{"var": "region"}, "eu"]}}},
    )
    return Snapshot(target="t").with_row(row)


def asked(snapshot: Snapshot, kept: str | None, user: str, key: str = "menu", **more: Any) -> Evaluation:
    assignments = Assignments(SWITCH, snapshot, **more)
    return assignments.evaluate(key, {"targetingKey": user, "region": "eu"}, kept)


def transport(percent: float, *brakes: Brake, **more: Any) -> Snapshot:
    of = {key: more.pop(key) for key in ("segments", "users") if key in more}
    row = Row(n=1, id="r", document=document(Shares("realtime", "websocket", percent=percent, **of), **more))
    snapshot = Snapshot(target="t").with_row(row)
    for brake in brakes:
        snapshot = snapshot.with_brake(brake)
    return snapshot


def sent(snapshot: Snapshot, kept: str | None, user: str, **more: Any) -> Assigned:
    return Assignments(SWITCH, snapshot, **more).assign(user, {"segments": ["eu"]}, kept)


def by_chance(variant: str, snapshot: Snapshot) -> str:
    """A user to whom the split gives this."""
    return next(user for user in USERS if asked(snapshot, None, user).variant == variant)


def goes_by_realtime(snapshot: Snapshot) -> str:
    return next(user for user in USERS if sent(snapshot, None, user).variant == "realtime")


# The weights change


def test_what_is_kept_holds_though_the_weights_would_give_another() -> None:
    now = menu(("a", 90), ("b", 10))
    user = by_chance("a", now)
    found = asked(now, "b", user)
    assert (found.variant, found.value, found.reason) == ("b", "B", "KEPT")


def test_where_the_split_gives_the_same_the_answer_is_as_if_nothing_were_kept() -> None:
    now = menu(("a", 90), ("b", 10))
    user = by_chance("a", now)
    assert asked(now, "a", user) == asked(now, None, user)


def test_clients_know_the_reason_and_ours_stands_beside() -> None:
    now = menu(("a", 90), ("b", 10))
    found = evaluated(Assignments(SWITCH, now), "menu", by_chance("a", now), {}, 0, lambda *_: "b")
    assert (found.variant, found.reason, found.metadata) == (
        "b",
        "TARGETING_MATCH",
        {"migctl_reason": "KEPT"},
    )


# What ends it


@pytest.mark.parametrize(
    "first",
    [
        ({"in": [{"var": "targetingKey"}, USERS]}, "a"),
        ({"$ref": "segment.eu"}, "a"),
        ({"==": [{"var": "region"}, "eu"]}, None),
    ],
)
def test_a_rule_that_names_the_user_or_a_segment_beats_it(first: tuple[Any, Any]) -> None:
    found = asked(menu(("a", 10), ("b", 90), first=first), "b", USERS[0])
    assert found.variant == "a"
    assert found.reason != "KEPT"


def test_the_kill_switch_beats_it() -> None:
    now = menu(("a", 50), ("b", 50))
    found = asked(now, "b", by_chance("a", now), overrides={"menu": "a"})
    assert (found.variant, found.reason) == ("a", "OVERRIDE")


def test_a_disabled_flag_has_no_variant_also_for_who_keeps_one() -> None:
    found = asked(menu(("a", 50), ("b", 50), state="DISABLED"), "b", USERS[0])
    assert (found.variant, found.reason) == (None, "DISABLED")


@pytest.mark.parametrize(
    "parts", [(("a", 100), ("b", 0)), (("a", 1), ("b", 0)), (("a", 50), ("b", 0), ("c", 50))]
)
def test_a_share_of_0_percent_beats_it(parts: tuple[tuple[str, int], ...]) -> None:
    now = menu(*parts)
    for user in USERS:
        assert asked(now, "b", user) == asked(now, None, user)


def test_a_variant_that_was_removed_is_not_kept() -> None:
    now = menu(("a", 50), ("b", 50))
    for user in USERS:
        assert asked(now, "c", user) == asked(now, None, user)


def test_who_has_no_record_yet_keeps_it_too_and_says_so() -> None:
    now = menu(("a", 90), ("b", 10))
    found = asked(now, "b", by_chance("a", now), blind=True)
    assert (found.variant, found.reason) == ("b", "STALE")


# transport: nobody is held up


def test_websocket_is_kept_though_the_share_rises() -> None:
    now = transport(90)
    user = goes_by_realtime(now)
    assert sent(now, "websocket", user) == Assigned("websocket", "KEPT", 1)
    found = asked(now, "websocket", user, "transport")
    assert (found.variant, found.value, found.reason) == ("websocket", "w", "KEPT")


@pytest.mark.parametrize("percent", [0, 1, 50, 99, 100])
def test_realtime_is_never_kept(percent: float) -> None:
    now = transport(percent)
    for user in USERS:
        assert sent(now, "realtime", user) == sent(now, None, user)


@pytest.mark.parametrize("split", ["all", EVERYTHING])
@pytest.mark.parametrize("percent", [0, 20, 50, 100])
def test_under_a_brake_nobody_has_more_than_without_what_is_kept(split: str, percent: float) -> None:
    now = transport(50, Brake(id="b", flag="transport", max_percent=percent, split=split))
    for user in USERS:
        assert sent(now, "realtime", user) == sent(now, None, user)
        assert sent(now, "websocket", user).variant == "websocket"


@pytest.mark.parametrize(
    "now",
    [
        transport(100),
        transport(50, users=dict.fromkeys(USERS, "realtime")),
        transport(50, segments={"eu": 100}),
    ],
)
def test_names_segments_and_a_share_of_all_open_it_for_who_keeps_websocket(now: Snapshot) -> None:
    assert {sent(now, "websocket", user).variant for user in USERS} == {"realtime"}


def test_the_kill_switch_and_blindness_beat_it_for_transport() -> None:
    user = goes_by_realtime(transport(90))
    assert sent(transport(90), "websocket", user, override="realtime").reason == "OVERRIDE"
    assert sent(transport(90), "websocket", user, blind=True, when_blind="realtime").reason == "STALE"
    assert sent(transport(90, state="DISABLED"), "websocket", user).reason == "DISABLED"
