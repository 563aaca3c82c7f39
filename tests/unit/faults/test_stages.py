"""What each toxic does to a stream: pieces in at their times, pieces out at theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from migctl.faults import Toxic
from migctl.faults.pipeline import Pipeline
from migctl.faults.stages import Mark

# What a stream is fed with, or yields: seconds, and bytes or how it ended.
Timed = tuple[float, bytes | Mark]


def feed(pipeline: Pipeline, puts: Sequence[Timed], until: float) -> list[Timed]:
    """What comes out by then, each at the time at which it was due."""
    out: list[Timed] = []

    def advance(now: float) -> None:
        while (due := pipeline.due()) is not None and due <= now:
            out.extend((round(due, 6), piece.mark or piece.data) for piece in pipeline.advance(due))

    for at, what in puts:
        advance(at)
        pipeline.put(*((b"", at, what) if isinstance(what, Mark) else (what, at)))
    advance(until)
    return out


def through(
    *toxics: Toxic, puts: Sequence[Timed], is_open: bool = False, draw: Callable[[], float] = lambda: 0.5
) -> list[Timed]:
    pipeline = Pipeline(0.0, draw)
    for place, toxic in enumerate(toxics):
        pipeline.install(place + 1, toxic, 0.0, is_open=is_open)
    return feed(pipeline, puts, 1000.0)


@pytest.mark.parametrize(
    ("toxic", "puts", "out"),
    [
        pytest.param(
            Toxic("latency", {"latency": 500}),
            [(0, b"a"), (0.1, b"b"), (0.2, Mark.END)],
            [(0.5, b"a"), (0.6, b"b"), (0.7, Mark.END)],
            id="latency: each is as late, and none waits for the other",
        ),
        pytest.param(
            Toxic("bandwidth", {"rate": 1}),
            [(0, b"x" * 250), (0, b"y" * 50), (9, b"z")],
            [(0.1, b"x" * 100), (0.2, b"x" * 100), (0.25, b"x" * 50), (0.3, b"y" * 50), (9.001, b"z")],
            id="bandwidth: 1000 bytes a second in tenths of one",
        ),
        pytest.param(
            Toxic("bandwidth", {"rate": 0}),
            [(0, b"x"), (1, Mark.END)],
            [],
            id="bandwidth: 0 holds everything",
        ),
        pytest.param(
            Toxic("slow_close", {"delay": 2000}),
            [(0, b"a"), (1, Mark.END)],
            [(0, b"a"), (3, Mark.END)],
            id="slow_close: the end alone",
        ),
        pytest.param(
            Toxic("timeout", {"timeout": 3000}),
            [(0, b"a"), (1, b"ping"), (2.9, b"ping"), (4, b"late")],
            [(3, Mark.CLOSE)],
            id="timeout: closes though something came all the time",
        ),
        pytest.param(
            Toxic("timeout"), [(0, b"a"), (1, Mark.END)], [], id="timeout: 0 swallows for ever, the end too"
        ),
        pytest.param(
            Toxic("reset_peer", {"timeout": 3000}),
            [(1, b"a"), (2, b"b")],
            [(4, Mark.RESET)],
            id="reset_peer: from the first bytes, which nobody gets",
        ),
        pytest.param(Toxic("reset_peer"), [(1, Mark.END)], [(1, Mark.RESET)], id="reset_peer: 0 is at once"),
        pytest.param(Toxic("reset_peer"), [], [], id="reset_peer: a new one that says nothing stays"),
        pytest.param(
            Toxic("slicer", {"average_size": 4, "delay": 500_000}),
            [(0, b"abcdefghij"), (0.1, b"k"), (0.2, Mark.END)],
            [(0, b"abcd"), (0.5, b"efgh"), (1, b"ij"), (1.5, b"k"), (2, Mark.END)],
            id="slicer: parts, each after the one before",
        ),
        pytest.param(
            Toxic("limit_data", {"bytes": 7}),
            [(0, b"four"), (1, b"five"), (2, b"six")],
            [(0, b"four"), (1, b"fiv"), (1, Mark.CLOSE)],
            id="limit_data: closes in the middle",
        ),
        pytest.param(
            Toxic("limit_data", {"bytes": 4}),
            [(0, b"four")],
            [(0, b"four"), (0, Mark.CLOSE)],
            id="limit_data: exact",
        ),
        pytest.param(Toxic("limit_data"), [(5, b"a")], [(5, Mark.CLOSE)], id="limit_data: 0 passes nothing"),
        pytest.param(
            Toxic("limit_data", {"bytes": 7}),
            [(0, b"a"), (1, Mark.END)],
            [(0, b"a"), (1, Mark.END)],
            id="limit_data: a stream that ends below it is left alone",
        ),
    ],
)
def test_a_toxic_does_what_its_name_says(toxic: Toxic, puts: list[Timed], out: list[Timed]) -> None:
    assert through(toxic, puts=puts) == out


def test_jitter_is_on_both_sides_of_the_latency_and_turns_no_order_round() -> None:
    draws = iter([0.0, 0.999, 0.25])
    slow = Toxic("latency", {"latency": 100, "jitter": 100})
    puts: list[Timed] = [(0, b"soon"), (0.01, b"late"), (0.02, b"behind")]
    assert through(slow, puts=puts, draw=lambda: next(draws)) == [
        (0, b"soon"),
        (0.2098, b"late"),
        (0.2098, b"behind"),
    ]
    more = Toxic("latency", {"latency": 0, "jitter": 100})
    assert through(more, puts=[(1, b"a")], draw=lambda: 0.0) == [(1, b"a")]  # none leaves before it came


def test_slices_vary_about_their_average() -> None:
    slicer = Toxic("slicer", {"average_size": 4, "size_variation": 2})
    draws = iter([0.0, 0.999, 0.5])
    out = through(slicer, puts=[(0, b"abcdefghij")], draw=lambda: next(draws))
    assert [len(data) for _, data in out if isinstance(data, bytes)] == [2, 6, 2]


@pytest.mark.parametrize(
    ("toxic", "out"),
    [
        (Toxic("reset_peer", {"timeout": 3000}), [(3, Mark.RESET)]),
        (Toxic("timeout", {"timeout": 3000}), [(3, Mark.CLOSE)]),
    ],
)
def test_a_connection_that_is_open_is_ended_though_it_says_nothing(toxic: Toxic, out: list[Timed]) -> None:
    assert through(toxic, puts=[], is_open=True) == out


def test_toxics_stand_in_the_order_in_which_they_came() -> None:
    limit, slow = Toxic("limit_data", {"bytes": 1}), Toxic("slow_close", {"delay": 2000})
    # The close that the limit makes is slow only where slow_close comes after it.
    assert through(limit, slow, puts=[(0, b"ab")]) == [(0, b"a"), (2, Mark.CLOSE)]
    assert through(slow, limit, puts=[(0, b"ab")]) == [(0, b"a"), (0, Mark.CLOSE)]


def test_a_black_hole_swallows_what_peers_end_and_not_what_toxics_end() -> None:
    hole = Toxic("timeout", name="hole")
    assert through(Toxic("reset_peer", {"timeout": 1000}), hole, puts=[(0, b"a")]) == [(1, Mark.RESET)]


def test_a_stream_that_has_ended_still_closes_at_its_time() -> None:
    pipeline = Pipeline(0.0, lambda: 0.5)
    assert feed(pipeline, [(0, Mark.END)], 1) == [(0, Mark.END)]
    pipeline.install(1, Toxic("timeout", {"timeout": 1000}), 1.0, is_open=True)
    assert feed(pipeline, [], 10) == [(2, Mark.CLOSE)]


def test_what_a_toxic_holds_flows_on_when_it_goes() -> None:
    pipeline = Pipeline(0.0, lambda: 0.5)
    for place, toxic in enumerate((Toxic("bandwidth", {"rate": 0}), Toxic("latency", {"latency": 1000}))):
        pipeline.install(place + 1, toxic, 0.0, is_open=False)
    assert feed(pipeline, [(0, b"one"), (1, b"two")], 10) == []
    pipeline.lift("bandwidth_downstream", 10.0)
    assert feed(pipeline, [(10.5, b"three")], 11) == [(11, b"one"), (11, b"two")]
    pipeline.lift("latency_downstream", 11.0)
    assert feed(pipeline, [], 20) == [(11, b"three")]


def test_a_connection_of_which_bytes_vanished_passes_nothing_when_the_hole_is_gone() -> None:
    pipeline = Pipeline(0.0, lambda: 0.5)
    pipeline.install(1, Toxic("timeout"), 0.0, is_open=True)
    pipeline.lift("timeout_downstream", 1.0)
    assert feed(pipeline, [(1, b"nothing was lost")], 2) == [(1, b"nothing was lost")]
    pipeline.install(2, Toxic("timeout", {"timeout": 5000}), 2.0, is_open=True)
    assert feed(pipeline, [(3, b"lost")], 4) == []
    assert (pipeline.vanished, pipeline.is_lost) == (True, False)
    pipeline.lift("timeout_downstream", 4.0)
    assert pipeline.is_lost
    assert feed(pipeline, [(4, b"too late")], 100) == [
        (7, Mark.CLOSE)
    ]  # it can't be healed, and closes at its time


@pytest.mark.parametrize(
    ("before", "after", "out"),
    [
        (Toxic("latency", {"latency": 5000}), {"latency": 0}, [(5, b"x" * 200), (5, b"new")]),
        (
            Toxic("bandwidth", {"rate": 0}),
            {"rate": 1},
            [(3.1, b"x" * 100), (3.2, b"x" * 100), (4.003, b"new")],
        ),
        (Toxic("timeout", {"timeout": 5000}), {"timeout": 2000}, [(5, Mark.CLOSE)]),
        (Toxic("timeout", {"timeout": 5000}), {"timeout": 0}, []),
        (Toxic("reset_peer", {"timeout": 5000}), {"timeout": 0}, [(3, Mark.RESET)]),
        (Toxic("slow_close", {"delay": 1}), {"delay": 2}, [(0, b"x" * 200), (4, b"new")]),
        (Toxic("limit_data", {"bytes": 1000}), {"bytes": 201}, [(0, b"x" * 200), (4, b"n"), (4, Mark.CLOSE)]),
        (
            Toxic("slicer", {"average_size": 100, "delay": 1_000_000}),
            {"average_size": 2},
            [(0, b"x" * 100), (1, b"x" * 100), (4, b"ne"), (5, b"w")],
        ),
    ],
)
def test_other_attributes_hold_from_now_on(before: Toxic, after: dict[str, int], out: list[Timed]) -> None:
    pipeline = Pipeline(0.0, lambda: 0.5)
    pipeline.install(1, before, 0.0, is_open=False)
    found = feed(pipeline, [(0, b"x" * 200)], 3)
    pipeline.update(1, before.changed(after), 3.0, wanted=True)
    assert [*found, *feed(pipeline, [(4, b"new")], 1000)] == out


def test_a_toxic_that_is_drawn_again_comes_and_goes_at_its_place() -> None:
    pipeline = Pipeline(0.0, lambda: 0.5)
    slow, limit = Toxic("slow_close", {"delay": 2000}), Toxic("limit_data", {"bytes": 1})
    pipeline.install(2, slow, 0.0, is_open=False)
    pipeline.update(1, limit, 0.0, wanted=True)
    assert feed(pipeline, [(0, b"ab")], 10) == [(0, b"a"), (2, Mark.CLOSE)]
    pipeline.update(1, limit, 10.0, wanted=False)
    assert not pipeline.has_toxic(limit.name)


def test_a_slow_line_makes_its_sender_wait_soon_and_a_long_one_late() -> None:
    slow, long = Pipeline(0.0, lambda: 0.5), Pipeline(1.0, lambda: 0.5)
    slow.install(1, Toxic("bandwidth", {"rate": 1}), 0.0, is_open=False)
    for pipeline in (slow, long):
        pipeline.put(b"x" * 100_000, 0.0)
        pipeline.advance(0.0)
    assert slow.is_full
    assert not long.is_full


def test_a_line_is_clear_only_where_what_comes_would_leave_at_once_and_first() -> None:
    pipeline = Pipeline(0.0, lambda: 0.5)
    assert pipeline.is_clear(1.0)
    pipeline.line.hold(2.0)
    assert (pipeline.is_clear(1.0), pipeline.is_clear(2.0)) == (False, True)
    pipeline.line.delay_s = 1.0
    assert not pipeline.is_clear(2.0)
    pipeline.put(b"under way", 2.0)
    pipeline.line.delay_s = 0.0
    assert not pipeline.is_clear(2.0)
    assert feed(pipeline, [], 3) == [(3, b"under way")]
    assert pipeline.is_clear(3.0)
    pipeline.install(1, Toxic("slow_close"), 3.0, is_open=True)
    assert not pipeline.is_clear(3.0)
    pipeline.lift("slow_close_downstream", 3.0)
    assert pipeline.is_clear(3.0)
    pipeline.put(b"", 4.0, Mark.END)
    assert feed(pipeline, [], 5) == [(4, Mark.END)]
    assert not pipeline.is_clear(5.0)
