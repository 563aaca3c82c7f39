from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.flags.assignment import Assignments, Switch
from migctl.flags.definitions import read
from migctl.flags.shares import ALL, EVERYTHING, Shares, shares_of
from migctl.flags.snapshot import Brake, OtherTarget, Row, Snapshot, merged, of_row, went_back

SWITCH = Switch("transport", "realtime", "websocket")
percents = st.integers(0, 10_000).map(lambda hundredths: hundredths / 100)


def document(shares: Shares | None = None, **changed: Any) -> dict[str, Any]:
    flag = {
        "state": "ENABLED",
        "variants": {"realtime": "r", "websocket": "w"},
        "defaultVariant": "websocket",
        "targeting": shares.targeting() if shares is not None else None,
    }
    names = shares.segments if shares is not None else ()
    evaluators = {f"segment.{name}": {"in": [name, {"var": "segments"}]} for name in names}
    return {"flags": {"transport": {**flag, **changed}}, "$evaluators": evaluators}


def shares(percent: float, **more: Any) -> Shares:
    return Shares("realtime", "websocket", percent=percent, **more)


def held(*rows: Row, brakes: tuple[Brake, ...] = ()) -> Snapshot:
    snapshot = Snapshot(target="t")
    for row in rows:
        snapshot = snapshot.with_row(row)
    for brake in brakes:
        snapshot = snapshot.with_brake(brake)
    return snapshot


def on_realtime(snapshot: Snapshot, users: int = 400, segments: tuple[str, ...] = ()) -> set[str]:
    assignments = Assignments(SWITCH, snapshot)
    names = [f"user-{number}" for number in range(users)]
    return {
        name for name in names if assignments.assign(name, {"segments": list(segments)}).variant == "realtime"
    }


@given(
    percent=percents,
    segments=st.dictionaries(st.sampled_from(["internal", "beta", "eu"]), percents),
    users=st.dictionaries(st.text(min_size=1, max_size=5), st.sampled_from(["realtime", "websocket"])),
    assigned=percents,
)
def test_what_a_rule_says_is_read_back(
    percent: float, segments: dict[str, float], users: dict[str, str], assigned: float
) -> None:
    if "realtime" not in users.values():
        assigned = 100.0
    one = shares(percent, segments=segments, users=users, assigned_percent=assigned)
    flag = read(document(one)).flags["transport"]
    assert shares_of(flag, "realtime", "websocket") == one


@pytest.mark.parametrize(
    "targeting",
    [
        {"fractional": [["websocket", 75], ["realtime", 25]]},
        {"fractional": [{"var": "email"}, ["realtime", 25], ["websocket", 75]]},
        {
            "if": [
                {"==": [{"var": "tier"}, "gold"]},
                "realtime",
                {"fractional": [["realtime", 25], ["websocket", 75]]},
            ]
        },
        {"if": [{"var": "x"}, "realtime"]},
        {"if": []},
        {"if": [{"in": []}, "realtime", {"fractional": [["realtime", 25], ["websocket", 75]]}]},
        None,
    ],
)
def test_a_rule_in_words_of_its_own_is_nobodys_to_rewrite(targeting: Any) -> None:
    assert shares_of(read(document(targeting=targeting)).flags["transport"], "realtime", "websocket") is None


@pytest.mark.parametrize("percent", [-1, 100.01, 0.001, float("nan")])
def test_a_share_is_a_percentage_in_hundredths(percent: float) -> None:
    with pytest.raises(ValueError, match="a share is"):
        shares(percent)


def test_a_user_comes_before_a_segment_and_a_segment_before_the_percentage() -> None:
    one = shares(0, segments={"internal": 100, "eu": 0}, users={"user-1": "websocket", "user-2": "realtime"})
    assignments = Assignments(SWITCH, held(Row(n=1, id="a", document=document(one))))
    found = {
        (user, segments): assignments.assign(user, {"segments": list(segments)}).variant
        for user, segments in [
            ("user-1", ("internal",)),
            ("user-2", ()),
            ("user-3", ("eu", "internal")),
            ("user-3", ("eu",)),
        ]
    }
    assert list(found.values()) == ["websocket", "realtime", "realtime", "websocket"]


@pytest.mark.parametrize("low", [0, 1, 10, 25, 49.5])
def test_a_brake_keeps_the_users_that_a_lower_share_would_have(low: float) -> None:
    row = Row(n=1, id="a", document=document(shares(50)))
    braked = held(row, brakes=(Brake(id="b", flag="transport", max_percent=low),))
    assert on_realtime(braked) == on_realtime(held(Row(n=1, id="a", document=document(shares(low)))))
    reasons = {
        Assignments(SWITCH, braked).assign(user).reason
        for user in on_realtime(held(row)) - on_realtime(braked)
    }
    assert reasons == {"BRAKED"}


def test_everything_caps_users_and_segments_too_and_all_does_not() -> None:
    row = Row(
        n=1, id="a", document=document(shares(50, segments={"internal": 100}, users={"user-1": "realtime"}))
    )
    for split, expected in ((ALL, "realtime"), (EVERYTHING, "websocket")):
        assignments = Assignments(
            SWITCH, held(row, brakes=(Brake(id="b", flag="transport", max_percent=0, split=split),))
        )
        assert assignments.assign("user-1").variant == expected
        assert assignments.assign("somebody", {"segments": ["internal"]}).variant == expected
        assert assignments.assign("somebody-else").variant == "websocket"


def test_a_brake_holds_for_a_rule_in_words_of_its_own_too() -> None:
    row = Row(n=1, id="a", document=document(targeting={"if": [{"var": "x"}, "websocket", "realtime"]}))
    for percent in (0, 30):
        braked = held(row, brakes=(Brake(id="b", flag="transport", max_percent=percent),))
        assert on_realtime(braked) == on_realtime(held(Row(n=1, id="a", document=document(shares(percent)))))


def test_only_a_row_that_names_a_brake_ends_it() -> None:
    brake = Brake(id="b", flag="transport", max_percent=10)
    first, second, third = (
        Row(n=n, id=str(n), document=document(shares(50)), lifts=lifts)
        for n, lifts in ((1, ()), (2, ()), (3, ("b",)))
    )
    assert len(on_realtime(held(first, second, brakes=(brake,)))) < len(on_realtime(held(first)))
    assert on_realtime(held(first, third, brakes=(brake,))) == on_realtime(held(first))
    # Whoever heard of the lift before the flag set that it came with can't use it yet.
    early = merged(held(first, brakes=(brake,)), Snapshot(target="t", lifts={"b": 3}))
    assert early.live_brakes() == [brake]


def test_a_row_that_cannot_be_read_leaves_the_last_good_one_and_lifts_nothing() -> None:
    brake = Brake(id="b", flag="transport", max_percent=0)
    snapshot = held(Row(n=1, id="a", document=document(shares(50))), brakes=(brake,))
    after = snapshot.with_row(Row(n=2, id="b", document={"flags": 7}, lifts=("b",)))
    assert (after.n, after.unreadable_n, after.live_brakes()) == (1, 2, [brake])
    assert after.with_row(Row(n=3, id="c", document=document(shares(5)))).unreadable_n == 0


def test_two_rows_of_one_number_cap_each_other() -> None:
    both = held(
        Row(n=1, id="a", document=document(shares(50))), Row(n=1, id="b", document=document(shares(20)))
    )
    assert len(both.rows) == 2
    assert on_realtime(both) == on_realtime(held(Row(n=1, id="b", document=document(shares(20)))))


def test_flags_of_another_target_are_not_merged() -> None:
    with pytest.raises(OtherTarget):
        merged(Snapshot(target="a"), Snapshot(target="b"))


def test_a_record_that_went_back_brakes_everybody_to_what_it_says() -> None:
    old = Row(n=3, id="old", document=document(shares(10, segments={"eu": 100})))
    new = Row(n=9, id="new", document=document(shares(75, segments={"internal": 100, "eu": 100})))
    snapshot = held(new)
    brakes = went_back(snapshot, old, "transport", "realtime", "websocket")
    assert {brake.split: brake.max_percent for brake in brakes} == {ALL: 10, "internal": 10}
    assert brakes == went_back(snapshot, old, "transport", "realtime", "websocket")
    after = held(new, brakes=tuple(brakes))
    assert on_realtime(after) == on_realtime(of_row("t", old))
    assert on_realtime(after, segments=("internal",)) == on_realtime(of_row("t", old), segments=("internal",))
    assert went_back(snapshot, new, "transport", "realtime", "websocket") == []


def test_a_record_that_is_empty_brakes_everybody_to_nothing() -> None:
    snapshot = held(Row(n=9, id="new", document=document(shares(75, users={"user-1": "realtime"}))))
    brakes = went_back(snapshot, None, "transport", "realtime", "websocket")
    assert on_realtime(held(*snapshot.rows, brakes=tuple(brakes))) == set()


def test_blind_everybody_has_the_old_transport_and_the_kill_switch_beats_all() -> None:
    snapshot = held(Row(n=9, id="new", document=document(shares(100))))
    assert Assignments(SWITCH, snapshot, blind=True).assign("u").reason == "STALE"
    assert Assignments(SWITCH, snapshot, blind=True).assign("u").variant == "websocket"
    assert Assignments(SWITCH, snapshot, blind=True, when_blind="realtime").assign("u").variant == "realtime"
    assert Assignments(SWITCH, snapshot, blind=True, override="realtime").assign("u").variant == "realtime"
    assert Assignments(SWITCH, Snapshot(target="t")).assign("u").variant == "websocket"
