"""May a poison event be buried? Each state with each input, and what is left after a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from migctl.delivery.storm import Answer, Hold, Left, Storm
from migctl.events import Position

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
NOW = 1000.0
HERE, EARLIER, LATER = Position("e", 10), Position("e", 9), Position("e", 11)
ELSEWHERE = Position("f", 1)
BURY, HOLD = Answer(may_bury=True), Answer(may_bury=False)


def ask(storm: Storm, position: Position, seconds: float = 0.0) -> Answer:
    return storm.ask(position, now=NOW + seconds, wall=NOON + timedelta(seconds=seconds))


def accept(storm: Storm, minutes: float, seconds: float = 0.0) -> None:
    storm.accept(minutes, "ann@host", now=NOW + seconds, wall=NOON + timedelta(seconds=seconds))


def full(position: Position | None = None) -> Storm:
    """Three were buried in the last minute, which are all that may be. position: where it is held."""
    storm = Storm(3)
    for _ in range(3):
        storm.buried(NOW)
    if position is not None:
        assert not ask(storm, position).may_bury
    return storm


def resumed(storm: Storm, seconds: float, *, wall_s: float | None = None) -> Storm:
    """The storm of the process after it, so many seconds later; wall_s: what the wall clock says has passed."""
    left = storm.left(NOW)
    later, now = Storm(3), 5.0  # the monotonic clock of another process
    later.resume(left, [], now=now, wall=NOON + timedelta(seconds=seconds if wall_s is None else wall_s))
    return later


# `ask`: acceptance x held at x minute


def test_without_a_storm_an_event_is_buried() -> None:
    storm = Storm(3)
    for _ in range(3):
        assert ask(storm, HERE) == BURY
        storm.buried(NOW)
    assert not ask(storm, HERE).may_bury, "the next one is one too many"


def test_a_full_minute_holds_the_relay_at_the_event() -> None:
    storm = full()
    assert ask(storm, HERE, 5.0) == Answer(may_bury=False, changed=True)
    assert storm.held == Hold(HERE, NOON + timedelta(seconds=5))


@pytest.mark.parametrize("seconds", [0.0, 59.0, 3600.0])
def test_held_at_an_event_it_stays_held_however_long_nothing_was_buried(seconds: float) -> None:
    storm = full(HERE)
    assert ask(storm, HERE, seconds) == HOLD
    assert storm.held == Hold(HERE, NOON)


def test_held_at_another_event_with_room_the_hold_is_lifted() -> None:
    storm = full(HERE)
    assert ask(storm, LATER, 60.0) == Answer(may_bury=True, changed=True)
    assert storm.held is None


def test_held_at_another_event_in_a_full_minute_it_is_held_here() -> None:
    storm = full(HERE)
    assert ask(storm, LATER, 59.0) == Answer(may_bury=False, changed=True)
    assert storm.held == Hold(LATER, NOON + timedelta(seconds=59))


def test_while_an_acceptance_runs_everything_is_buried() -> None:
    storm = full(HERE)
    accept(storm, 1.0)
    for second in range(60):
        assert ask(storm, HERE, second) == BURY
        storm.buried(NOW + second)


@pytest.mark.parametrize("position", [HERE, LATER])
def test_an_acceptance_ends_and_the_next_event_in_a_full_minute_is_held(position: Position) -> None:
    storm = full(HERE)
    accept(storm, 0.5)
    answer = ask(storm, position, 30.0)
    assert (answer.may_bury, answer.changed) == (False, True)
    assert answer.ended is not None
    assert (answer.ended.who, answer.ended.until) == ("ann@host", NOON + timedelta(seconds=30))
    assert storm.held == Hold(position, NOON + timedelta(seconds=30))
    assert ask(storm, position, 30.0) == HOLD, "its end is said once"


def test_an_acceptance_that_ended_in_a_calm_minute_leaves_nothing_behind() -> None:
    storm = full(HERE)
    accept(storm, 1.0)
    answer = ask(storm, HERE, 60.0)
    assert (answer.may_bury, answer.changed, answer.ended is not None) == (True, True, True)
    assert ask(storm, HERE, 60.0) == BURY


@pytest.mark.parametrize(("seconds", "runs"), [(0.0, True), (29.9, True), (30.0, False), (1e6, False)])
def test_an_acceptance_is_shown_as_long_as_it_runs_though_nobody_asks(seconds: float, runs: bool) -> None:
    storm = Storm(3)
    accept(storm, 0.5)
    assert (storm.accepted(NOW + seconds) is not None) is runs


# The other inputs


@pytest.mark.parametrize(
    ("position", "lifted"), [(EARLIER, False), (HERE, True), (LATER, True), (ELSEWHERE, True)]
)
def test_what_the_relay_passes_lifts_a_hold_at_or_before_it(position: Position, lifted: bool) -> None:
    storm = full(HERE)
    assert storm.passed(position) is lifted
    assert (storm.held is None) is lifted


@pytest.mark.parametrize("position", [EARLIER, HERE, LATER, ELSEWHERE])
def test_where_nothing_is_held_passing_changes_nothing(position: Position) -> None:
    assert Storm(3).passed(position) is False


def test_passing_leaves_an_acceptance_as_it_is() -> None:
    storm = Storm(3)
    accept(storm, 1.0)
    storm.passed(HERE)
    assert storm.accepted(NOW) is not None


def test_accepting_lifts_the_hold_and_counts_from_now_whatever_ran_before() -> None:
    storm = full(HERE)
    accept(storm, 60.0)
    assert storm.held is None
    accept(storm, 0.5, 10.0)
    running = storm.accepted(NOW + 10)
    assert running is not None
    assert (running.until_s, running.until) == (NOW + 40, NOON + timedelta(seconds=40))
    assert storm.accepted(NOW + 40) is None


@pytest.mark.parametrize(("seconds", "may_bury"), [(59.9, False), (60.0, True)])
def test_what_was_buried_counts_for_a_minute(seconds: float, may_bury: bool) -> None:
    assert ask(full(), HERE, seconds).may_bury is may_bury


def test_burying_changes_neither_hold_nor_acceptance() -> None:
    storm = full(HERE)
    storm.buried(NOW)
    assert storm.held == Hold(HERE, NOON)
    accept(storm, 1.0)
    storm.buried(NOW)
    assert storm.accepted(NOW) is not None


# A restart


def test_of_nothing_nothing_is_left() -> None:
    assert Storm(3).left(NOW) == Left()
    later = resumed(Storm(3), 1.0)
    assert (later.held, later.accepted(5.0)) == (None, None)
    later.resume(None, [], now=5.0, wall=NOON)
    assert (later.held, later.accepted(5.0)) == (None, None)


@pytest.mark.parametrize("seconds", [1.0, 1e6, -1e6])
def test_a_hold_outlives_the_process_however_late_the_next_one_starts(seconds: float) -> None:
    later = resumed(full(HERE), seconds)
    assert later.held == Hold(HERE, NOON)
    assert later.ask(HERE, now=5.0, wall=NOON) == HOLD


@pytest.mark.parametrize(
    ("wall_s", "left_s"),
    [
        (0.0, 60.0),
        (45.0, 15.0),
        (60.0, None),
        (3600.0, None),
        (-3600.0, 60.0),  # the clock was set back: it runs no longer than was left
    ],
)
def test_an_acceptance_runs_on_to_its_end(wall_s: float, left_s: float | None) -> None:
    storm = Storm(3)
    accept(storm, 1.0)
    later = resumed(storm, 0.0, wall_s=wall_s)
    running = later.accepted(5.0)
    if left_s is None:
        assert running is None
        return
    assert running is not None
    assert (running.until_s, running.until, running.who) == (
        5.0 + left_s,
        NOON + timedelta(minutes=1),
        "ann@host",
    )
    assert later.accepted(5.0 + left_s) is None


def test_an_acceptance_that_has_ended_is_not_left() -> None:
    storm = Storm(3)
    accept(storm, 1.0)
    assert storm.left(NOW + 60.0) == Left()


@pytest.mark.parametrize(
    ("ages_s", "may_bury"),
    [
        ([50.0, 20.0, 0.0], False),
        ([61.0, 20.0, 0.0], True),  # the oldest is forgotten
        ([20.0, 10.0, -5.0], True),  # one of the future: the clock was set back
        ([400.0, 300.0, 200.0], True),
    ],
)
def test_burials_of_the_last_minute_count_after_a_restart(ages_s: list[float], may_bury: bool) -> None:
    storm = Storm(3)
    storm.resume(None, [NOON - timedelta(seconds=age) for age in ages_s], now=5.0, wall=NOON)
    assert storm.ask(HERE, now=5.0, wall=NOON).may_bury is may_bury


def test_they_leave_the_minute_when_they_would_have_without_a_restart() -> None:
    storm = Storm(3)
    storm.resume(None, [NOON - timedelta(seconds=40)] * 3, now=5.0, wall=NOON)
    assert not storm.ask(HERE, now=24.9, wall=NOON).may_bury
    assert storm.ask(LATER, now=25.0, wall=NOON).may_bury


def test_a_lower_bound_counts_what_was_buried_in_the_last_minute_and_a_higher_one_lifts_no_hold() -> None:
    storm = Storm(20)
    for second in range(5):
        storm.buried(NOW + second)
    storm.follow(5)
    assert not ask(storm, HERE, 10).may_bury
    storm.follow(50)
    assert storm.held is not None and not ask(storm, HERE, 11).may_bury
    accept(storm, 1, 12)
    assert ask(storm, HERE, 13).may_bury
