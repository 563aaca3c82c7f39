"""The bound of what is accepted, and the line before it."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from migctl.errors import MigctlError, Usage
from migctl.publisher.waiting import EVENT_BYTES, Unit, Waiting
from tests.kit.entries import event


def unit(events: int = 1, pad: int = 0) -> Unit:
    answer: Future[Any] = Future()
    return Unit([event(b'{"pad":"%b"}' % (b"x" * pad)) for _ in range(events)], [False] * events, answer, 0.0)


def waiting(*, events: int = 3, size: int = 1 << 20) -> Waiting:
    return Waiting(events, size, lambda: None)


def test_what_is_over_the_bound_stands_in_line_and_comes_in_the_order_of_asking() -> None:
    held = waiting()
    units = [unit() for _ in range(6)]
    assert [held.ask(each) for each in units] == [True] * 3 + [False] * 3
    taken = held.take(2, 1 << 20)
    assert (taken, held.events) == (units[:2], 3)
    held.settled(taken)
    assert held.take(10, 1 << 20) == units[2:5]
    assert held.events == held.most_events == 3


def test_a_small_one_never_passes_a_large_one_that_asked_before() -> None:
    held = waiting()
    first, large, small = unit(2), unit(3), unit(1)
    assert [held.ask(each) for each in (first, large, small)] == [True, False, False]
    held.settled(held.take(10, 1 << 20))
    assert held.take(10, 1 << 20) == [large]


def test_bytes_are_bounded_too() -> None:
    held = waiting(events=100, size=10 * (EVENT_BYTES + 1000))
    assert [held.ask(unit(pad=1000)) for _ in range(11)].count(True) == 9
    with pytest.raises(Usage, match="more than this publisher may hold"):
        held.ask(unit(pad=20_000))


def test_who_goes_away_leaves_the_line_to_the_next() -> None:
    held = waiting()
    first, large, small = unit(2), unit(3), unit(1)
    for each in (first, large, small):
        held.ask(each)
    assert held.withdraw(large)
    assert held.take(10, 1 << 20) == [first, small]
    assert not held.withdraw(first)  # on its way


def test_what_was_accepted_and_not_taken_gives_its_room_back() -> None:
    held = waiting()
    accepted, next_ = unit(3), unit(3)
    held.ask(accepted)
    held.ask(next_)
    assert held.withdraw(accepted)
    assert (held.take(10, 1 << 20), held.events) == ([next_], 3)


def test_the_impatient_are_not_put_in_line() -> None:
    held = waiting()
    held.ask(unit(3))
    assert not held.ask(unit(), patient=False)
    held.settled(held.take(10, 1 << 20))
    assert held.empty


def test_a_group_is_cut_by_count_and_bytes_and_has_one_at_least() -> None:
    held = waiting(events=100)
    units = [unit(5, 1000), unit(1), unit(1)]
    for each in units:
        held.ask(each)
    assert held.take(1, 1) == units[:1]
    assert held.take(1, 1 << 20) == units[1:2]
    assert held.take(9, 1 << 20) == units[2:]


def test_after_the_end_nothing_is_accepted_and_everyone_is_told() -> None:
    held = waiting()
    taken, ready, in_line = unit(), unit(2), unit(3)
    held.ask(taken)
    held.take(1, 1 << 20)
    held.ask(ready)
    held.ask(in_line)
    held.end(MigctlError("left", do="come back"))
    with pytest.raises(MigctlError, match="left"):
        held.ask(unit())
    assert held.fail_all(lambda each: MigctlError(f"{len(each.events)} lost", do="send again")) == 6
    told = [str(each.answer.exception()).partition("\n")[0] for each in (taken, ready, in_line)]  # type: ignore[attr-defined]
    assert told == ["1 lost", "2 lost", "3 lost"]
    assert held.empty
