"""Edits of a flag set: what they change, and that none of them gives anybody more without saying so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from migctl.flags import editing
from migctl.flags.assignment import Assignments, Switch
from migctl.flags.definitions import FlagSet, Invalid, read
from migctl.flags.segments import rule_of, segments_of, with_segments
from migctl.flags.shares import ALL, Shares
from migctl.flags.snapshot import Brake, Row, Snapshot, to_confirm
from migctl.runtime.flags import step_edit

SWITCH = Switch("transport", "realtime", "websocket")
USERS = [f"user-{number}" for number in range(40)]
NAMES = ("internal", "beta")

percents = st.sampled_from([0.0, 10.0, 25.0, 50.0, 100.0])
members = st.sets(st.sampled_from(USERS), max_size=12)


@st.composite
def flag_sets(draw: st.DrawFn) -> FlagSet:
    segments = draw(st.permutations(NAMES).flatmap(lambda names: st.sampled_from([names, names[:1], []])))
    shares = Shares(
        "realtime",
        "websocket",
        users=draw(
            st.dictionaries(st.sampled_from(USERS), st.sampled_from(["realtime", "websocket"]), max_size=5)
        ),
        segments={name: draw(percents) for name in segments},
        percent=draw(percents),
    )
    found = with_segments(FlagSet(), {name: rule_of(draw(members)) for name in NAMES})
    found = editing.with_shares(found, SWITCH, shares)
    return editing.with_state(found, "transport", enabled=draw(st.sampled_from([True, True, True, False])))


def on_realtime(flag_set: FlagSet) -> set[str]:
    assignments = Assignments(
        SWITCH, Snapshot(target="t", rows=(Row(n=1, id="a", document=flag_set.document()),))
    )
    return {user for user in USERS if assignments.assign(user).variant == "realtime"}


def opened(percent: float, **more: Any) -> FlagSet:
    segments = with_segments(FlagSet(), {name: rule_of([f"{name}-1"]) for name in NAMES})
    return editing.with_shares(segments, SWITCH, Shares("realtime", "websocket", percent=percent, **more))


@given(before=flag_sets(), after=flag_sets())
@example(before=opened(0, segments={"internal": 0, "beta": 100}), after=opened(0, segments={"beta": 100}))
def test_who_gets_more_got_it_by_an_edit_that_says_that_it_raises(before: FlagSet, after: FlagSet) -> None:
    if not on_realtime(after) <= on_realtime(before):
        assert editing.raises(before, after, SWITCH)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (FlagSet(), FlagSet(), False),
        (opened(50), FlagSet(), False),
        (FlagSet(), opened(0), False),
        (FlagSet(), opened(1), True),
        (opened(50), editing.with_state(opened(100), "transport", enabled=False), False),
        (editing.with_state(opened(50), "transport", enabled=False), opened(50), True),
        (opened(50), opened(50), False),
        (opened(50), with_segments(opened(50), {"new": rule_of(["x"])}), False),
        (opened(50), with_segments(opened(50), {"internal": rule_of(["x"])}), False),
        (opened(50), opened(25), False),
        (opened(25), opened(50), True),
        (opened(25), opened(25, users={"a": "realtime"}), True),
        (opened(25, users={"a": "realtime"}), opened(25), False),
        (opened(25, users={"a": "websocket"}), opened(25), True),
        (opened(0, users={"a": "websocket"}), opened(0), False),
        (opened(25), opened(25, users={"a": "websocket"}), False),
        (opened(0, segments={"internal": 100}), opened(0, segments={"internal": 50}), False),
        (opened(0, segments={"internal": 50}), opened(0, segments={"internal": 100}), True),
        (opened(25), opened(25, segments={"internal": 10}), False),
        (opened(25), opened(25, segments={"internal": 30}), True),
        (
            opened(0, segments={"internal": 100}),
            with_segments(opened(0, segments={"internal": 100}), {"internal": rule_of(["x"])}),
            True,
        ),
        (opened(50), editing.with_default(opened(50), "transport", "realtime"), True),
    ],
)
def test_each_kind_of_edit_raises_or_does_not(before: FlagSet, after: FlagSet, expected: bool) -> None:
    assert editing.raises(before, after, SWITCH) is expected


def test_a_rule_in_words_of_its_own_raises_for_all_we_know_and_is_not_rewritten() -> None:
    own = read(
        {
            "flags": {
                "transport": {
                    **opened(0).flags["transport"].document(),
                    "targeting": {"if": [True, "websocket"]},
                }
            }
        }
    )
    assert editing.raises(opened(50), own, SWITCH)
    assert editing.raises(own, opened(0), SWITCH)
    assert not editing.raises(own, own, SWITCH)
    with pytest.raises(Invalid, match="words of its own"):
        editing.with_user(own, SWITCH, "u", "realtime")


def test_users_and_segments_are_assigned_and_taken_out() -> None:
    one = editing.with_user(opened(0), SWITCH, "ann", "realtime")
    assert "ann" in editing.written(one, SWITCH).users
    assert editing.written(editing.with_user(one, SWITCH, "ann", None), SWITCH).users == {}
    two = editing.with_percent(editing.with_percent(one, SWITCH, "beta", 50), SWITCH, ALL, 5)
    assert editing.in_words(editing.written(two, SWITCH)) == "5 %, segment beta 50 %, 1 user"
    assert editing.checked(two) == read(two.document())
    with pytest.raises(Invalid, match="no such segment"):
        editing.with_percent(one, SWITCH, "nobody", 5)


def test_what_is_changed_is_named_and_shown() -> None:
    menu = read(
        {
            "flags": {
                "menu": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
            }
        }
    )
    both = editing.with_flags(opened(5), menu)
    assert editing.changed_parts(opened(5), both) == {"menu"}
    assert editing.changed_parts(both, with_segments(both, {"beta": True})) == {"$segment.beta"}
    assert editing.with_flags(both, menu, replace=True) == menu
    assert editing.difference(both, both) == []
    changed = editing.difference(both, editing.with_default(both, "menu", "on"))
    assert [line for line in changed if line.startswith(("+", "-"))] == [
        "-    defaultVariant: 'off'",
        "+    defaultVariant: 'on'",
    ]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda of: editing.with_state(of, "nothing", enabled=True), "no such flag"),
        (lambda of: editing.with_default(of, "transport", "carrier pigeon"), "no variant"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(edit: editing.Edit, said: str) -> None:
    with pytest.raises(Invalid, match=said) as refused:
        edit(opened(5))
    assert refused.value.do


def test_a_step_begins_with_the_flag_and_the_segments_that_come_with_migctl() -> None:
    after = editing.checked(step_edit(25, {"internal": 100})(FlagSet()))
    shares = editing.written(after, SWITCH)
    assert (shares.percent, shares.segments) == (25, {"internal": 100})
    assert list(segments_of(after)) == ["internal"]
    assert editing.raises(FlagSet(), after, SWITCH)


def test_a_step_leaves_users_and_other_segments_as_they_are() -> None:
    before = with_segments(FlagSet(), {"eu": {"==": [{"var": "region"}, "eu"]}})
    before = editing.with_user(editing.with_percent(before, SWITCH, "eu", 10), SWITCH, "ann", "realtime")
    after = editing.written(editing.checked(step_edit(50, {"internal": 100})(before)), SWITCH)
    assert (after.percent, after.segments) == (50, {"eu": 10, "internal": 100})
    assert after.users == {"ann": "realtime"}


def test_a_step_of_a_segment_that_nobody_defined_is_refused() -> None:
    with pytest.raises(Invalid, match="no such segment"):
        step_edit(50, {"moon": 100})(FlagSet())


def test_a_brake_caps_a_segment_that_has_the_share_of_all() -> None:
    flag_set = with_segments(FlagSet(), {"internal": rule_of(USERS[:20])})
    flag_set = editing.with_percent(flag_set, SWITCH, ALL, 100)
    row = Row(n=1, id="a", document=flag_set.document())
    snapshot = Snapshot(target="t").with_row(row)
    braked = Assignments(
        SWITCH,
        snapshot.with_brake(Brake(id="b", flag="transport", max_percent=0, split="internal")),
        blind=False,
    )
    on = {user for user in USERS if braked.assign(user).variant == "realtime"}
    assert on == set(USERS[20:])
    found = braked.shares()
    assert found is not None
    assert (found.percent, found.segments) == (100, {"internal": 0})


def test_a_lower_share_is_never_a_higher_one() -> None:
    flag_set = editing.with_percent(with_segments(FlagSet(), {"eu": rule_of(["u"])}), SWITCH, ALL, 20)
    assert editing.written(editing.lowered_to(flag_set, SWITCH, ALL, 25), SWITCH).percent == 20
    assert editing.written(editing.lowered_to(flag_set, SWITCH, ALL, 10), SWITCH).percent == 10
    assert editing.written(editing.lowered_to(flag_set, SWITCH, "eu", 5), SWITCH).segments == {"eu": 5}


@pytest.mark.parametrize(
    ("split", "max_percent", "shown"),
    [
        (ALL, 25, False),
        (ALL, 24, True),
        ("eu", 10, False),
        ("eu", 5, True),
        ("us", 25, False),
        ("everything", 100, True),
    ],
)
def test_a_brake_at_or_above_the_written_share_needs_no_look_but_an_alarm_does(
    split: str, max_percent: float, shown: bool
) -> None:
    written = Shares("realtime", "websocket", segments={"eu": 10}, percent=25)
    brake = Brake(id="b", flag="transport", max_percent=max_percent, split=split)
    assert to_confirm([brake], written) == ([brake] if shown else [])
    assert to_confirm([brake], None) == [brake]
