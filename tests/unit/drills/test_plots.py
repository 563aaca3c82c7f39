"""From a drill's series and states to coordinates."""

from __future__ import annotations

import msgspec
import pytest

from migctl.drills.plots import clock, plot_of
from tests.kit.drilled import NOTHING, fault, second, whole


def test_a_run_without_data_has_no_plot() -> None:
    assert plot_of(NOTHING) is None


def test_a_line_is_level_for_each_second_and_its_height_is_its_share_of_the_scale() -> None:
    plot = plot_of(msgspec.structs.replace(NOTHING, series=[second(0, 100, 0, 50), second(1, 50, 0, 100)]))
    assert plot is not None
    paths = {line.style: line.path for line in plot.lines}
    assert paths["committed"] == "M0 0H500L500 50H1000"
    assert paths["websocket"] == "M0 100H500L500 100H1000"
    assert [(tick.at, tick.label) for tick in plot.up] == [(100, "0"), (50, "50"), (0, "100")]
    assert [(tick.at, tick.label) for tick in plot.across] == [(0, "0 s"), (50, "1 s"), (100, "2 s")]


def test_faults_states_and_lines_share_one_axis() -> None:
    plot = plot_of(whole())
    assert plot is not None
    assert [(mark.at, mark.width) for mark in plot.marks] == [(25, 50)]
    lanes = {lane.name: [(bar.at, bar.width, bar.name) for bar in lane.bars] for lane in plot.lanes}
    assert list(lanes) == ["faults", "serve", "fallback", "broadcast breaker"]
    assert lanes["faults"] == [(25, 50, "outage")]
    assert lanes["broadcast breaker"] == [(25.5, 14.5, "open"), (40, 5, "half open")]
    assert lanes["serve"] == [(85, 5, "away")]


def test_faults_whose_names_would_touch_stand_in_rows_of_their_own() -> None:
    faults = [fault("a", 0, 1), fault("b", 2, 3), fault("c", 8, 9), fault("d", 19, 20)]
    plot = plot_of(msgspec.structs.replace(whole(), faults=faults))
    assert plot is not None
    rows = [[bar.name for bar in lane.bars] for lane in plot.lanes if lane.name in ("faults", "")]
    assert rows == [["a", "c"], ["b", "d"]]
    for lane in plot.lanes[:2]:
        left, right = lane.bars
        ends = right.at + right.width - right.room if right.right else right.at
        assert left.at + max(left.width, 40) <= ends
        assert right.room >= 40


def test_of_many_faults_those_of_one_name_share_a_lane_that_is_named_after_it() -> None:
    faults = [fault("ab"[at % 2], 2 * at, 2 * at + 1) for at in range(10)]
    plot = plot_of(msgspec.structs.replace(whole(), faults=faults))
    assert plot is not None
    assert [(lane.name, len(lane.bars)) for lane in plot.lanes[:2]] == [("a", 5), ("b", 5)]
    assert {(bar.name, bar.room) for bar in plot.lanes[0].bars} == {("", 0)}
    assert plot.lanes[0].bars[1].title == "a: 4.0 to 5.0 s"


def test_what_lasts_beyond_the_series_is_drawn_whole() -> None:
    plot = plot_of(msgspec.structs.replace(whole(), faults=[fault("long", 5, 40)]))
    assert plot is not None
    assert plot.seconds == 40
    assert plot.marks[0].at + plot.marks[0].width == 100


def test_a_run_of_a_day_has_no_more_buckets_than_a_screen_and_their_averages() -> None:
    series = [second(at, 100 if at % 2 else 300) for at in range(86_400)]
    plot = plot_of(msgspec.structs.replace(NOTHING, series=series))
    assert plot is not None
    assert len(plot.buckets) <= 400
    assert {one.committed for one in plot.buckets} == {200}
    assert len(plot.across) <= 8


def test_the_plot_is_said_in_words_too() -> None:
    plot = plot_of(whole())
    assert plot is not None
    assert "Over the WebSocket: 0 to 200." in plot.words
    assert "Fault outage: 5.0 to 15.0 s." in plot.words
    assert "broadcast half open: 8.0 to 9.0 s." in plot.words


@pytest.mark.parametrize(("at_s", "written"), [(0, "0 s"), (119, "119 s"), (300, "5:00"), (3725, "1:02:05")])
def test_a_time_of_the_axis_is_short(at_s: float, written: str) -> None:
    assert clock(at_s) == written
