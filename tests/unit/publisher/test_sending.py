"""What becomes of a group of units that was not taken, and when a unit is late."""

from __future__ import annotations

import asyncio

import pytest

from migctl.errors import MigctlError, Systemic, Transient
from migctl.journal import Conflict
from migctl.publisher.outlet import NotNow, TooLarge, Unfit
from migctl.publisher.sending import Again, End, Halve, Leave, fate, given_up, is_late
from migctl.publisher.waiting import Unit
from tests.kit.entries import event

NAMED = Unfit("two are wrong", do="mend them", reasons={1: "no type"})
UNNAMED = Unfit("something is wrong", do="mend it", reasons={})
AWAY = Transient("away", do="wait")


@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize(
    ("error", "of_one", "of_several"),
    [
        (Conflict([(1, "an-id")]), Leave({1: "an-id"}, True), Leave({1: "an-id"}, True)),
        (NAMED, Leave({1: "no type"}, False), Leave({1: "no type"}, False)),
        (UNNAMED, End(True), Halve(False)),
        (TooLarge("a request of 9 bytes"), End(True), Halve(True)),
        (AWAY, Again(0.0), Again(0.0)),
        (NotNow("full", do="wait", after_s=3.0), Again(3.0), Again(3.0)),
        (Systemic("forbidden", do="give a token"), End(False), End(False)),
    ],
)
def test_fate_of_a_group(error: MigctlError, of_one: object, of_several: object, units: int) -> None:
    assert fate(error, units=units) == (of_one if units == 1 else of_several)


@pytest.mark.parametrize(
    ("give_up_s", "now", "late"), [(None, 1e9, False), (2.0, 12.0, False), (2.0, 12.1, True)]
)
async def test_a_unit_is_late_once_it_took_longer_than_it_may(
    give_up_s: float | None, now: float, late: bool
) -> None:
    unit = Unit([event()], [True], asyncio.get_running_loop().create_future(), since=10.0)
    assert is_late(unit, give_up_s, now) is late


async def test_what_was_sent_may_be_durable_and_what_was_not_sent_is_not() -> None:
    unit = Unit([event()], [True], asyncio.get_running_loop().create_future(), since=0.0)
    assert "it was not sent" in given_up(unit, "in time", "look").do
    unit.tried = True
    assert "publish it again with this id" in given_up(unit, "in time", "look").do
