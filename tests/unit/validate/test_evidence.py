"""Evidence and document: what a report says of what it can't know. Absence is never success."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from migctl.validate.document import build
from migctl.validate.evidence import weigh
from migctl.validate.gates import Bounds
from migctl.validate.inputs import Inputs, Summary, Tombstone
from migctl.validate.kinds import Side
from migctl.validate.shard import Input
from migctl.validate.tally import Tally
from migctl.validate.window import Edge, Window

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
JOURNAL = Window("journal")
FIRST = ("E", 1, AT)


def summary(side: Side = Side.WEBSOCKET, **more: Any) -> Summary:
    fields: dict[str, Any] = {
        "side": side,
        "path": Path("x.summary.json"),
        "role": "subscriber",
        "start": Edge(side.label, "E", 0, AT),
        "end": Edge(side.label, None, None, AT),
        "ended": True,
        "complete": True,
        "reason": "stopped",
        "repeats_dropped": 0,
        "gaps_repaired": 0,
        "reconnects": 0,
        "lost_ranges": [],
    }
    return Summary(**fields | more)


def inputs(
    *summaries: Summary, sides: tuple[Side, ...] = tuple(Side), tombstones: list[Tombstone] | None = None
) -> Inputs:
    files = [Input(side, Path(f"{side.label}.ndjson"), 1) for side in sides]
    return Inputs(files, {each.side: each for each in summaries}, tombstones, None, None)


def tally(**more: Any) -> Tally:
    found = Tally(expected=10, matched=10, **more)
    for side in found.sides:
        side.lines = side.received = 10
    return found


def document(
    found: Inputs, counted: Tally, window: Window = JOURNAL, bounds: Bounds | None = None
) -> dict[str, Any]:
    return build(
        found,
        counted,
        window,
        bounds or Bounds(),
        first=FIRST,
        late_after_s=5.0,
        examples=3,
        digests={each.path: "00" for each in found.files},
    ).to_json()


def test_what_agrees_and_is_complete_leaves_nothing_hidden() -> None:
    found = weigh(inputs(summary(), summary(Side.REALTIME)), tally(), JOURNAL, first=FIRST)
    assert (found.hidden, found.cut_short) == ([], [])


def test_an_empty_capture_hides_however_well_the_rest_agrees() -> None:
    counted = tally()
    counted.sides[Side.REALTIME].lines = 0
    found = weigh(inputs(), counted, JOURNAL, first=FIRST)
    assert found.hidden == ["realtime: the capture is empty, 0 of 10 expected events"]
    assert document(inputs(), counted)["verdict"] == "inconclusive"


def test_an_empty_journal_hides_unless_it_had_control_events() -> None:
    counted = tally()
    counted.sides[Side.JOURNAL].lines = 0
    assert weigh(inputs(), counted, JOURNAL, first=None).hidden == [
        "journal: it is empty, so nothing is expected"
    ]
    counted.sides[Side.JOURNAL].control = 1
    assert weigh(inputs(), counted, JOURNAL, first=None).hidden == []


def test_a_capture_that_began_after_the_journal_did_hides_what_was_before() -> None:
    late = summary(start=Edge("websocket", "E", 5, AT))
    assert len(weigh(inputs(late), tally(), JOURNAL, first=FIRST).hidden) == 1
    assert weigh(inputs(late), tally(), Window("captures"), first=FIRST).hidden == []


def test_cut_short_is_terminated_and_incomplete_too() -> None:
    for wrong in (summary(ended=False, complete=False), summary(complete=False, reason="had 10 s")):
        assert len(weigh(inputs(wrong), tally(), JOURNAL, first=FIRST).cut_short) == 1
        assert document(inputs(wrong), tally())["verdict"] == "terminated"


def test_a_service_key_and_a_missing_summary_are_said() -> None:
    key = summary(Side.REALTIME, role="service_role")
    found = weigh(inputs(key), tally(), JOURNAL, first=FIRST)
    assert any("row level security was bypassed" in remark for remark in found.remarks)
    assert any("no summary" in remark for remark in found.remarks)
    assert document(inputs(key), tally())["rls"] == "bypassed"
    assert document(inputs(summary(Side.REALTIME)), tally())["rls"] == "enforced"
    assert document(inputs(), tally())["rls"] is None


def test_what_a_rotation_lost_is_lost_once_though_both_captures_were_told_of_it() -> None:
    ranges = [("E", 4, 6)]
    both = inputs(summary(lost_ranges=ranges), summary(Side.REALTIME, lost_ranges=ranges))
    found = document(both, tally(lost=1))
    assert found["lost"] == 4
    assert found["verdict"] == "fail"


def test_a_transport_that_is_not_compared_has_nulls_and_gates_nothing() -> None:
    found = document(
        inputs(summary(), sides=(Side.JOURNAL, Side.WEBSOCKET)),
        tally(),
        bounds=Bounds(max_latency_p99_ms=100),
    )
    assert found["discrepancies"]["missing_realtime"] is None
    assert found["latency_ms"]["realtime"] is None
    assert found["transports"]["realtime"] is None
    assert found["latency_ms"]["difference"] is None


def test_tombstones_are_counted_by_reason_within_the_window() -> None:
    stones = [
        Tombstone("E", seq, reason, AT) for seq, reason in ((1, "poison"), (7, "poison"), (8, "conflict"))
    ]
    window = Window("captures", starts=(Edge("websocket", "E", 5, AT),))
    assert document(inputs(tombstones=stones), tally(), window)["tombstones"] == {"poison": 1, "conflict": 1}
    assert document(inputs(), tally(), window)["tombstones"] is None


def test_latency_is_by_the_commit_and_by_the_events_own_time_only_where_none_has_a_commit() -> None:
    counted = tally()
    counted.sides[Side.WEBSOCKET].live_by_timestamp.add_all([9000])
    assert document(inputs(), counted)["latency_basis"] == "timestamp"
    counted.sides[Side.REALTIME].live.add_all([5000])
    found = document(inputs(), counted)
    assert found["latency_basis"] == "committed_at"
    assert (found["latency_ms"]["websocket"]["n"], found["latency_ms"]["realtime"]["n"]) == (0, 1)


def test_an_event_that_came_before_its_commit_shows_how_far_a_clock_is_behind() -> None:
    counted = tally()
    counted.sides[Side.WEBSOCKET].live.add_all([-2500, 100])
    counted.sides[Side.WEBSOCKET].wall_us.add_all([1000, 4000])
    assert document(inputs(), counted)["clock_skew_ms"]["websocket"] == {
        "at_least": 2.5,
        "set_by": 3.0,
        "behind": None,
        "within": None,
    }
    asked = document(
        inputs(summary(behind_ms=40.0, within_ms=1.0)), counted, bounds=Bounds(max_latency_p99_ms=30)
    )
    assert asked["verdict"] == "fail", "0.1 ms by a clock that is 39 ms behind"
    late = document(inputs(), counted, bounds=Bounds(max_latency_p99_ms=30))
    assert (late["verdict"], len(late["missing_evidence"])) == ("inconclusive", 1)


@pytest.mark.parametrize(
    ("wrote", "of", "cut", "named"),
    [
        (20, {}, 1, None),  # half of it is gone
        (11, {"torn_line": 11}, 0, "torn"),
        (10, {"lines": 20, "repeats": 10}, 0, "stand there twice"),
        (9, {}, 0, "some were added"),
        (None, {"out_of_order": 9}, 0, "reverse order"),
        (None, {"out_of_order": 3}, 0, None),
    ],
)
def test_a_file_that_was_cut_joined_or_reversed_is_named(
    wrote: int | None, of: dict[str, int], cut: int, named: str | None
) -> None:
    counted = tally()
    for name, value in of.items():
        setattr(counted.sides[Side.WEBSOCKET], name, value)
    found = weigh(inputs(summary(received=wrote), summary(Side.REALTIME)), counted, JOURNAL, first=FIRST)
    assert len(found.cut_short) == cut
    assert any(named in remark for remark in found.remarks) if named else not found.remarks
