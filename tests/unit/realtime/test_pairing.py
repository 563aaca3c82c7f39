"""Which canary went both ways: each cell of the table. And by which way nothing comes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from migctl.config.modes import LiveWay
from migctl.transports.realtime.canary import moment_of
from migctl.transports.realtime.pairing import Pairing, silent_ways

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def awaiting(*numbers: int) -> Pairing:
    """Each touched at its own second, none come by changes, all of them by broadcast."""
    one = Pairing()
    for number in numbers:
        one.goes(number)
        assert one.touched(number, at(number)) is None
        assert one.heard(number) is None
    return one


def test_message_alone_is_half_a_canary() -> None:
    one = Pairing()
    one.goes(1)
    assert one.heard(1) is None


def test_change_alone_is_half_a_canary() -> None:
    one = Pairing()
    one.goes(1)
    assert one.touched(1, at(1)) is None
    assert one.changed(at(1)) is None
    assert one.heard(1) == 1


def test_change_of_its_touch_or_a_later_one_proves_it() -> None:
    assert awaiting(1).changed(at(1)) == 1
    assert awaiting(1).changed(at(1.2)) == 1


def test_change_from_before_its_touch_proves_nothing() -> None:
    one = awaiting(1)
    assert one.changed(at(0.999999)) is None
    assert one.changed(at(1)) == 1


def test_change_proves_all_whose_touch_is_not_later_and_no_other() -> None:
    one = awaiting(1, 2, 3)
    assert one.changed(at(2)) == 2
    assert one.changed(at(3)) == 3


def test_change_may_come_before_the_answer_to_the_touch_that_made_it() -> None:
    one = Pairing()
    one.goes(1)
    assert one.heard(1) is None
    assert one.changed(at(1)) is None
    assert one.touched(1, at(1)) == 1


def test_change_that_came_before_the_touch_began_proves_nothing_though_its_moment_is_later() -> None:
    """The database's clock was set back: what came before proves nothing of now."""
    one = Pairing()
    assert one.changed(at(3600)) is None
    one.goes(1)
    one.heard(1)
    assert one.touched(1, at(1)) is None
    assert one.changed(at(1)) == 1


def test_clock_that_is_set_back_does_not_keep_later_ones_waiting() -> None:
    one = awaiting(1)
    one.goes(2)
    one.heard(2)
    assert one.touched(2, at(-3600)) is None
    assert one.changed(at(-3600)) == 2


def test_one_that_could_not_be_touched_is_proven_by_a_later_one_only() -> None:
    one = Pairing()
    one.goes(1)
    one.heard(1)
    assert one.touched(1, None) is None
    assert one.changed(at(9)) is None
    one.goes(2)
    one.heard(2)
    one.touched(2, at(10))
    assert one.changed(at(10)) == 2


def test_the_slower_way_says_which_canary_came() -> None:
    one = awaiting(1, 2)
    one.goes(3)
    one.touched(3, at(3))
    assert one.changed(at(3)) == 2
    assert one.heard(3) == 3


def test_what_came_is_told_once() -> None:
    one = awaiting(1)
    assert one.changed(at(1)) == 1
    assert one.changed(at(1.5)) is None
    assert one.heard(1) is None


def test_an_old_message_takes_nothing_back() -> None:
    one = awaiting(1, 2)
    assert one.heard(1) is None
    assert one.changed(at(2)) == 2


def test_touches_that_nothing_answers_do_not_grow_without_end() -> None:
    one = awaiting(*range(1, 1001))
    assert one.changed(at(900)) is None, "given up long ago"
    assert one.changed(at(1000)) == 1000


@pytest.mark.parametrize(
    ("broadcast", "changes", "silent"),
    [
        (9.6, 7.0, ["postgres_changes"]),
        (9.6, None, ["postgres_changes"]),
        (7.0, 9.1, ["broadcast"]),
        (None, 9.1, ["broadcast"]),
        (7.0, 7.2, ["broadcast", "postgres_changes"]),
        (None, None, ["broadcast", "postgres_changes"]),
        (9.6, 9.1, ["broadcast", "postgres_changes"]),
    ],
)
def test_which_way_is_silent(broadcast: float | None, changes: float | None, silent: list[LiveWay]) -> None:
    ways: Sequence[tuple[LiveWay, float | None]] = [("broadcast", broadcast), ("postgres_changes", changes)]
    assert list(silent_ways(ways, 10.0, silent_s=2.5)) == silent


@pytest.mark.parametrize(
    ("record", "moment"),
    [
        ({"updated_at": "2026-01-01T00:00:01.5+00:00"}, at(1.5)),
        ({"updated_at": "2026-01-01T01:00:00+01:00"}, T0),
        ({"updated_at": "2026-01-01 00:00:00+00"}, T0),
        ({"updated_at": "2026-01-01T00:00:00"}, None),
        ({"updated_at": "soon"}, None),
        ({"updated_at": 3}, None),
        ({}, None),
        ([], None),
    ],
)
def test_moment_of_a_change_is_that_of_its_row(record: object, moment: datetime | None) -> None:
    assert moment_of({"record": record}) == moment
