"""A share by hand: what is one, which step it belongs to, and which way it goes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from migctl.errors import Usage
from migctl.flags.shares import ALL, Shares
from migctl.rollout import steps, walk
from migctl.rollout.stages import WALKED, load
from migctl.rollout.steps import Direction
from migctl.rollout.walk import Share

STEPS = [load(name).step() for name in WALKED]


@pytest.mark.parametrize(
    ("text", "percent"), [("25", 25), (" 12.5 ", 12.5), ("100%", 100), ("-0", 0), ("0.01", 0.01)]
)
def test_a_share(text: str, percent: float) -> None:
    assert str(steps.percent_of(text)) == str(float(percent))


@pytest.mark.parametrize("text", ["101", "-1", "abc", "nan", "inf", "", "1e9", "0.001"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(Usage):
        steps.percent_of(text)


@pytest.mark.parametrize(
    ("percent", "stage"),
    [
        (0, "2a-internal"),
        (24.99, "2a-internal"),
        (25, "2b-25"),
        (60, "2b-50"),
        (99, "2b-75"),
        (100, "2b-100"),
    ],
)
def test_the_step_of_a_share(percent: float, stage: str) -> None:
    assert steps.at_or_below(percent, STEPS).stage == stage


def test_neighbours() -> None:
    assert steps.before("2a-internal", STEPS) is None
    assert steps.following("2b-100", STEPS) is None
    earlier, later = steps.before("2b-25", STEPS), steps.following("2b-25", STEPS)
    assert earlier is not None
    assert later is not None
    assert (earlier.stage, later.stage) == ("2a-internal", "2b-50")
    with pytest.raises(Usage, match="2z"):
        steps.before("2z", STEPS)


@pytest.mark.parametrize(("percent", "way"), [(10, "down"), (25, "down"), (50, "same"), (50.5, "up")])
def test_the_highest_of_all_places_decides_which_way_it_goes(percent: float, way: Direction) -> None:
    standing = [Shares("realtime", "websocket", percent=one) for one in (25, 50)]
    assert steps.direction(percent, standing) == way


def test_a_segment_that_is_not_named_has_the_share_of_all() -> None:
    standing = [Shares("realtime", "websocket", segments={"eu": 10}, percent=50)]
    assert [steps.direction(25, standing, split) for split in (ALL, "eu", "us")] == ["down", "up", "down"]


def test_what_is_soaked_after_a_share_by_hand() -> None:
    now = datetime(2026, 1, 5, tzinfo=UTC)
    stands = walk.begun(3, "2b-25", "s1", now)
    assert steps.by_hand(30, ALL, stands, STEPS) == ("2b-25", Share(30))
    assert steps.by_hand(50, "internal", None, STEPS) == ("2a-internal", Share(0, {"internal": 50}))
    own = {**STEPS[1].segments, "internal": 50.0}
    assert steps.by_hand(50, "internal", stands, STEPS) == ("2b-25", Share(25, own))
    again = walk.set_by_hand(stands, "2b-25", "s2", "why", now, Share(30, {"beta": 5}))
    assert steps.by_hand(50, "internal", again, STEPS) == (
        "2b-25", Share(30, {"beta": 5, "internal": 50}),
    )  # fmt: skip
