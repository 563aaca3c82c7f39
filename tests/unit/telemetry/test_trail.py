"""Trail: when a seq passed is known for the newest, and for none that has not passed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from migctl.telemetry.trail import Trail

AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_seq_has_the_moment_of_the_mark_that_took_it() -> None:
    trail = Trail()
    trail.begin("a", 3)
    trail.passed("a", 5, AT, "hint", count=2)
    trail.passed("a", 9, AT + timedelta(seconds=1), "superseded")
    assert [(trail.has("a", seq), trail.of("a", seq)) for seq in (1, 3)] == [(True, None), (True, None)]
    for seq, how, second in ((4, "hint", 0), (5, "hint", 0), (6, "superseded", 1), (9, "superseded", 1)):
        mark = trail.of("a", seq)
        assert mark is not None
        assert (mark.how, mark.at) == (how, AT + timedelta(seconds=second))
    assert not trail.has("a", 10) and not trail.has("b", 1)


def test_an_epoch_that_ended_keeps_its_moments() -> None:
    trail = Trail()
    trail.passed("a", 5, AT, "hint")
    trail.passed("b", 2, AT + timedelta(seconds=1), "hint")
    old, new = trail.of("a", 5), trail.of("b", 2)
    assert old is not None and old.at == AT
    assert new is not None and new.at == AT + timedelta(seconds=1)
    assert not trail.has("a", 6)


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["hint", "superseded"])), max_size=40),
)
def test_what_is_known_is_true_and_memory_is_bounded(most: int, steps: list[tuple[int, str]]) -> None:
    trail, truth, seq = Trail(most=most), {}, 0
    for number, (more, how) in enumerate(steps):
        at = AT + timedelta(seconds=number)
        for one in range(seq + 1, seq + more + 1):
            truth[one] = (at, how)
        seq += more
        trail.passed("a", seq, at, how)
    assert len(trail._marks) <= most
    for one, (at, how) in truth.items():
        assert trail.has("a", one), "what passed is taken for what did not"
        mark = trail.of("a", one)
        assert mark is None or (mark.at, mark.how) == (at, how)
    assert not trail.has("a", seq + 1)
    if truth:
        assert trail.of("a", seq) is not None, "the newest is not known"
