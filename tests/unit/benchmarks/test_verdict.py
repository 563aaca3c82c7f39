"""The soak's verdict: everything that can be lost or doubled is planted once, and found."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest

from benchmarks.availability import Fault
from benchmarks.faults import FAULTS, Deck, lasts_s
from benchmarks.verdict import (
    MUST_BE_ZERO,
    Committed,
    Heard,
    Line,
    figures,
    judge_store,
    judge_subscriber,
    recovered_s,
)

EPOCH = "e"
IDS = [f"id-{seq}" for seq in range(1, 11)]
JOURNAL = [Committed((EPOCH, seq), f"id-{seq}", 1000.0 + seq) for seq in range(1, 11)]
ROWS = [((EPOCH, seq), f"id-{seq}") for seq in range(1, 10)]
TOMBSTONES = [((EPOCH, 10), "id-10")]


def line(seq: int, *, late_s: float = 0.01, transport: str = "realtime", via: str = "live") -> Line:
    committed = 1000.0 + seq
    return Line(
        f"id-{seq}",
        EPOCH,
        seq,
        datetime.fromtimestamp(committed, UTC),
        datetime.fromtimestamp(committed + late_s, UTC),
        transport,
        via,
    )


def heard(lines: list[Line], *, start: int = 0, complete: bool = True) -> Heard:
    return Heard("one", "whole:realtime", lines, (EPOCH, start), complete)


def wrong(found: dict[str, int]) -> dict[str, int]:
    return {name: found[name] for name in MUST_BE_ZERO if found[name]}


def test_a_sound_store_has_nothing_wrong() -> None:
    found = judge_store(IDS, JOURNAL, ROWS, TOMBSTONES)
    assert wrong(found) == {}
    assert (found["acknowledged"], found["rows"], found["tombstones"]) == (10, 9, 1)


@pytest.mark.parametrize(
    ("what", "store"),
    [
        ("lost_after_acknowledgement", ([*IDS, "id-11"], JOURNAL, ROWS, TOMBSTONES)),
        ("lost_on_the_way_to_the_table", (IDS, JOURNAL, ROWS[1:], TOMBSTONES)),
        ("lost_on_the_way_to_the_table", (IDS, JOURNAL, ROWS, [])),
        ("strangers_in_the_table", (IDS, JOURNAL, [*ROWS[:-1], ((EPOCH, 9), "other")], TOMBSTONES)),
        ("strangers_in_the_table", (IDS, JOURNAL, [*ROWS, ((EPOCH, 11), "id-11")], TOMBSTONES)),
        ("never_acknowledged", (IDS[1:], JOURNAL, ROWS, TOMBSTONES)),
        ("holes_in_seqs", (IDS[:4] + IDS[5:], JOURNAL[:4] + JOURNAL[5:], ROWS[:4] + ROWS[5:], TOMBSTONES)),
        (
            "doubled_in_the_journal",
            (
                IDS,
                [*JOURNAL, Committed((EPOCH, 11), "id-1", 1.0)],
                [*ROWS, ((EPOCH, 11), "id-1")],
                TOMBSTONES,
            ),
        ),
        ("doubled_in_the_table", (IDS, JOURNAL, [*ROWS, ROWS[0]], TOMBSTONES)),
        ("rows_that_are_tombstones_too", (IDS, JOURNAL, ROWS, [*TOMBSTONES, ROWS[0]])),
    ],
)
def test_what_is_wrong_with_a_store_is_found(what: str, store: tuple) -> None:  # type: ignore[type-arg]
    assert wrong(judge_store(*store))[what] >= 1


def test_a_subscriber_wants_everything_after_its_start() -> None:
    found = judge_subscriber(heard([line(seq) for seq in range(4, 11)], start=3), JOURNAL)
    assert (found["wanted"], found["released"], found["lost"]) == (7, 7, 0)


@pytest.mark.parametrize(
    ("what", "seqs"),
    [
        ("lost", [1, 2, 3, 4, 5, 6, 8, 9, 10]),
        ("lost", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("lost", []),
        ("doubled", [1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10]),
        ("out_of_order", [1, 2, 4, 3, 5, 6, 7, 8, 9, 10]),
    ],
)
def test_what_a_subscriber_lost_or_got_twice_is_found(what: str, seqs: list[int]) -> None:
    assert judge_subscriber(heard([line(seq) for seq in seqs]), JOURNAL)[what] >= 1


def test_another_event_under_a_seq_is_a_stranger() -> None:
    lines = [line(seq) for seq in range(1, 11)]
    lines[4].id = "other"
    assert judge_subscriber(heard(lines), JOURNAL)["strangers"] == 1


def test_recovery_is_a_live_release_through_realtime_of_what_came_after_the_fault() -> None:
    lines = [line(1), line(2, transport="websocket"), line(3, via="table"), line(4)]
    assert recovered_s(heard(lines), 1001.5) == pytest.approx(2.51)
    assert recovered_s(heard(lines[:3]), 1001.5) is None


def test_figures_tell_which_fault_a_missed_second_follows() -> None:
    lines = [line(seq, late_s=4.0 if seq == 5 else 0.01) for seq in range(1, 11)]
    found = figures([heard(lines)], JOURNAL, [Fault("reset", 1004.5, 1006.0)], 1000.0, 1012.0)
    assert found["faults"][0]["missed"]["availability_percent"] == {"one": "7-8"}
    assert found["faults"][0]["time_to_fallback_ms"] == 4500
    assert found["availability"]["whole"]["availability_percent"] == pytest.approx(100 * 10 / 12, abs=0.001)
    assert found["subscribers"]["one"]["longest_silence_ms"] == 4000


def test_every_fault_comes_before_any_comes_again_and_the_same_seed_draws_the_same() -> None:
    names = list(FAULTS)
    deck, same = Deck(names, Random(3)), Deck(names, Random(3))
    drawn = [deck.draw() for _ in range(2 * len(names))]
    assert sorted(drawn[: len(names)]) == sorted(drawn[len(names) :]) == sorted(names)
    assert drawn == [same.draw() for _ in drawn]
    assert all(1.0 <= lasts_s(name, Random(1)) <= 10.0 for name in names)
