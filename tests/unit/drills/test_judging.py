"""Verdict of a drill: everything that can be lost or doubled is planted once, and found."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from migctl.drills.availability import Fault
from migctl.drills.judging import (
    MUST_BE_ZERO,
    Committed,
    Heard,
    Judged,
    Line,
    Place,
    Store,
    Truth,
    judge,
    judge_store,
    moved_s,
    recovered_s,
    worst_ms,
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


def truth(
    journal: list[Committed] = JOURNAL,
    *,
    ids: list[str] = IDS,
    rows: list[tuple[Place, str]] = ROWS,
    tombstones: list[tuple[Place, str]] = TOMBSTONES,
) -> Truth:
    return Truth(ids, journal, rows, tombstones)


def judged(one: Heard, *, of: Truth | None = None) -> Judged:
    return judge([one], of or truth(tombstones=[]), [], 1000.0, 1012.0).subscribers[0]


def wrong(found: Store) -> dict[str, int]:
    return {name: getattr(found, name) for name in MUST_BE_ZERO if getattr(found, name)}


def test_a_sound_store_has_nothing_wrong() -> None:
    found = judge_store(truth())
    assert wrong(found) == {}
    assert found.is_sound
    assert (found.acknowledged, found.rows, found.tombstones) == (10, 9, 1)


def test_a_store_in_which_nothing_was_committed_is_not_sound() -> None:
    assert not judge_store(truth([], ids=[], rows=[], tombstones=[])).is_sound


@pytest.mark.parametrize(
    ("what", "store"),
    [
        ("lost_after_acknowledgement", truth(ids=[*IDS, "id-11"])),
        ("lost_on_the_way_to_the_table", truth(rows=ROWS[1:])),
        ("lost_on_the_way_to_the_table", truth(tombstones=[])),
        ("strangers_in_the_table", truth(rows=[*ROWS[:-1], ((EPOCH, 9), "other")])),
        ("strangers_in_the_table", truth(rows=[*ROWS, ((EPOCH, 11), "id-11")])),
        ("never_acknowledged", truth(ids=IDS[1:])),
        ("holes_in_seqs", truth(JOURNAL[:4] + JOURNAL[5:], ids=IDS[:4] + IDS[5:])),
        (
            "doubled_in_the_journal",
            truth([*JOURNAL, Committed((EPOCH, 11), "id-1", 1.0)], rows=[*ROWS, ((EPOCH, 11), "id-1")]),
        ),
        ("doubled_in_the_table", truth(rows=[*ROWS, ROWS[0]])),
        ("rows_that_are_tombstones_too", truth(tombstones=[*TOMBSTONES, ROWS[0]])),
    ],
)
def test_what_is_wrong_with_a_store_is_found(what: str, store: Truth) -> None:
    found = judge_store(store)
    assert wrong(found)[what] >= 1
    assert not found.is_sound


def test_events_that_a_store_lost_or_doubled_are_named() -> None:
    found = judge_store(truth(ids=[*IDS, "id-11"], rows=[*ROWS[1:], ROWS[1]]))
    assert found.lost_ids == ["id-11", "id-1"]
    assert found.duplicate_ids == ["id-2"]


def test_a_subscriber_wants_everything_after_its_start() -> None:
    found = judged(heard([line(seq) for seq in range(4, 11)], start=3))
    assert (found.wanted, found.released, found.lost) == (7, 7, 0)
    assert found.is_sound


def test_a_tombstone_is_excused_and_not_wanted() -> None:
    found = judged(heard([line(seq) for seq in range(1, 10)]), of=truth())
    assert (found.wanted, found.excused, found.lost) == (9, 1, 0)


@pytest.mark.parametrize(
    ("what", "seqs", "ids"),
    [
        ("lost", [1, 2, 3, 4, 5, 6, 8, 9, 10], ["id-7"]),
        ("lost", [1, 2, 3, 4, 5, 6, 7, 8, 9], ["id-10"]),
        ("lost", [], IDS),
        ("duplicates", [1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10], ["id-3"]),
        ("out_of_order", [1, 2, 4, 3, 5, 6, 7, 8, 9, 10], []),
    ],
)
def test_what_a_subscriber_lost_or_got_twice_is_found_and_named(
    what: str, seqs: list[int], ids: list[str]
) -> None:
    found = judged(heard([line(seq) for seq in seqs]))
    assert getattr(found, what) >= 1
    assert found.lost_ids + found.duplicate_ids == ids
    assert not found.is_sound


def test_a_subscriber_that_wanted_nothing_is_not_sound() -> None:
    assert not judged(heard([], start=10)).is_sound


def test_another_event_under_a_seq_is_a_stranger() -> None:
    lines = [line(seq) for seq in range(1, 11)]
    lines[4].id = "other"
    assert judged(heard(lines)).strangers == 1


def test_recovery_is_a_live_release_through_realtime_of_what_came_after_the_fault() -> None:
    lines = [line(1), line(2, transport="websocket"), line(3, via="table"), line(4)]
    assert recovered_s(heard(lines), 1001.5) == pytest.approx(2.51)
    assert recovered_s(heard(lines[:3]), 1001.5) is None


def test_one_that_never_came_back_makes_the_worst_no_figure() -> None:
    assert worst_ms([0.5, 1.25]) == 1250
    assert worst_ms([0.5, None]) is None
    assert worst_ms([]) is None


def test_figures_say_which_fault_a_missed_second_follows() -> None:
    lines = [line(seq, late_s=4.0 if seq == 5 else 0.01) for seq in range(1, 11)]
    found = judge([heard(lines)], truth(tombstones=[]), [Fault("reset", 1004.5, 1006.0)], 1000.0, 1012.0)
    assert found.faults[0].missed["availability_percent"] == {"one": "7-8"}
    assert found.faults[0].time_to_fallback_ms == 4500
    assert found.availability["whole"]["availability_percent"] == pytest.approx(100 * 10 / 12, abs=0.001)
    assert found.subscribers[0].longest_silence_ms == 4000


TAKE_BACK = Fault("take-back", 1003.5, 1011.0, to="websocket")


def moved(*lines: Line) -> float | None:
    found = moved_s(heard(list(lines)), TAKE_BACK)
    return None if found is None else round(found, 2)


def test_who_was_taken_back_has_moved_with_its_first_event_over_the_websocket_alone() -> None:
    before = [line(1), line(2), line(3)]
    after = [line(seq, transport="websocket") for seq in (6, 7)]
    assert moved(*before, line(4), line(5), *after) == 2.51
    # One still comes over Realtime: it was not alone, and the first one after it counts.
    assert moved(*before, line(4, transport="websocket"), line(5), *after) == 2.51
    assert moved(*before, line(4), *after, line(8), line(9, transport="websocket")) == 5.51


def test_what_was_committed_before_the_command_or_read_to_catch_up_is_no_move() -> None:
    last = line(7, transport="websocket")
    assert moved(line(3, late_s=1.0, transport="websocket"), last) == 3.51
    assert moved(line(4, transport="websocket", via="resume"), last) == 3.51
    # A late one of the other transport is one of it, however it came.
    assert moved(line(4, transport="websocket"), line(5, via="table"), last) == 3.51


def test_who_got_nothing_over_the_websocket_or_realtime_again_has_not_moved() -> None:
    assert moved(line(1), line(4), line(5)) is None
    assert moved(line(4, transport="websocket"), line(5)) is None
    assert moved(line(1)) is None
    # After the fault's end it is too late.
    assert moved(line(10, late_s=1.5, transport="websocket")) is None


def test_a_command_is_measured_by_the_last_of_those_that_go_by_the_flag() -> None:
    quick = Heard("whole-1", "whole", [line(4, transport="websocket")], (EPOCH, 0), True)
    slow = Heard("whole-2", "whole", [line(4), line(6, transport="websocket")], (EPOCH, 0), True)
    assigned = Heard(
        "whole:realtime-1", "whole:realtime", [line(seq) for seq in range(1, 11)], (EPOCH, 0), True
    )

    def fallback_ms(*everyone: Heard) -> int | None:
        return (
            judge(everyone, truth(tombstones=[]), [TAKE_BACK], 1000.0, 1012.0).faults[0].time_to_fallback_ms
        )

    assert fallback_ms(quick, slow, assigned) == 2510
    never = Heard("whole-3", "whole", [line(4)], (EPOCH, 0), True)
    assert fallback_ms(quick, slow, never) is None
    assert fallback_ms(assigned) is None
