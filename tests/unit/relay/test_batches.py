"""When a batch goes, and what cuts it. Rules as YAML's defaults: high 100 or 0.1 s, medium 50 or 0.5 s, low 10 or 2 s."""

from __future__ import annotations

from dataclasses import replace

from migctl.delivery.batches import Batch, Bound, Hold, Rules, Waiting, form

RULES = Rules(
    bounds={"high": Bound(100, 0.1), "medium": Bound(50, 0.5), "low": Bound(10, 2.0)},
    max_bytes=1_000_000,
    backlog_max_events=500,
)
WAITING = replace(RULES, wait=True)


def _low(count: int, since: float = 0.0, size: int = 100) -> list[Waiting]:
    return [Waiting("low", size, since)] * count


def test_a_single_event_goes_at_once_by_default() -> None:
    assert form(_low(1), 0.0, RULES) == Batch(1, "drained")


def test_count_of_a_class_cuts_the_run() -> None:
    assert form(_low(15), 0.0, RULES) == Batch(10, "count")


def test_classes_are_counted_apart_in_one_run() -> None:
    mixed = _low(10) + [Waiting("high", 100, 0.0)] * 30 + _low(1)
    assert form(mixed, 0.0, RULES) == Batch(40, "count")


def test_bytes_cut_the_run_and_one_event_always_goes() -> None:
    assert form(_low(4, size=400_000), 0.0, RULES) == Batch(2, "bytes")
    assert form(_low(1, size=3_000_000), 0.0, RULES) == Batch(1, "drained")


def test_more_than_one_full_run_is_a_backlog_and_takes_what_a_request_holds() -> None:
    assert form(_low(21), 0.0, RULES) == Batch(21, "backlog")
    assert form(_low(700), 0.0, RULES) == Batch(500, "backlog")


def test_an_old_event_makes_a_backlog_of_what_waits() -> None:
    assert form(_low(15), 2.4, RULES) == Batch(10, "count")
    assert form(_low(15), 2.6, RULES) == Batch(15, "backlog")


def test_backlog_keeps_the_byte_bound() -> None:
    assert form(_low(700, size=100_000), 0.0, RULES) == Batch(9, "bytes")


def test_wait_holds_until_the_first_event_has_waited_its_class_time() -> None:
    waiting = [*_low(3, since=10.0), Waiting("high", 100, 11.0)]
    assert form(waiting, 11.05, WAITING) == Hold(11.1)
    assert form(waiting, 11.1, WAITING) == Batch(4, "time")


def test_wait_ends_when_a_class_has_its_count() -> None:
    assert form(_low(9), 0.1, WAITING) == Hold(2.0)
    assert form(_low(10), 0.1, WAITING) == Batch(10, "count")
