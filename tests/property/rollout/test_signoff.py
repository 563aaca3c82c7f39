"""Whatever a rollout went through, its report is made, holds together, and can be shown."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from migctl.rollout import walk
from migctl.rollout.completing import Completing
from migctl.rollout.reopening import reopened
from migctl.rollout.signoff.build import build
from migctl.rollout.signoff.document import Signoff
from migctl.rollout.signoff.page import page_of
from tests.kit.walked import Walked

WORDS = st.text(max_size=12)
STAGES = st.sampled_from(["2a-internal", "2b-25", "2b-50", "2b-100"])
PERCENTS = st.sampled_from([0.0, 10.0, 25.0, 50.0, 100.0])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), STAGES, WORDS),
        st.tuples(st.just("minutes"), st.integers(1, 6), WORDS),
        st.tuples(st.just("away"), st.integers(1, 6), WORDS),
        st.tuples(st.just("bad"), st.integers(1, 600), WORDS),
        st.tuples(st.just("inconclusive"), st.integers(1, 6), WORDS),
        st.tuples(st.just("brake"), PERCENTS, WORDS),
        st.tuples(st.just("alarm"), PERCENTS, WORDS),
        st.tuples(st.just("set"), PERCENTS, WORDS),
        st.tuples(st.just("pause"), STAGES, WORDS),
        st.tuples(st.just("resume"), STAGES, WORDS),
        st.tuples(st.just("abort"), STAGES, WORDS),
        st.tuples(st.just("complete"), st.sampled_from(["rampdown", "draining", "completed"]), WORDS),
        st.tuples(st.just("reopen"), STAGES, WORDS),
    ),
    max_size=14,
)


def done(of: Walked, step: tuple[str, object, str]) -> None:
    kind, value, why = step
    state = of.state
    if kind == "begin":
        of.begin(str(value), why=why)
    elif kind == "set":
        lifts = tuple(one.after["id"] for one in of.audited if one.action == "flags.brake")  # type: ignore[index]
        of.set(float(value), why=why, lifts=lifts)  # type: ignore[arg-type]
    elif kind in ("brake", "alarm"):
        split = "all" if kind == "brake" else "everything"
        name = f"b{len(of.audited)}"
        of.brake(name, float(value), split=split, who=why, why=why, lower=kind == "brake", ago_s=len(why))  # type: ignore[arg-type]
    elif state is None:
        return
    elif kind == "minutes":
        of.pass_(value, realtime=float(len(why)) ** 5)  # type: ignore[arg-type]
    elif kind == "away":
        of.pass_(value, there=False)  # type: ignore[arg-type]
    elif kind == "bad":
        of.pass_(1, matched=600 - value, lost=value)  # type: ignore[operator]
    elif kind == "inconclusive":
        of.pass_(value, verdict="inconclusive", reason=why)  # type: ignore[arg-type]
    elif kind == "pause" and state.phase not in ("done", "aborted"):
        of.move("pause", walk.paused(state, why, of.now), why=why)
    elif kind == "resume" and state.phase in ("paused", "aborted"):
        of.move("resume", walk.resumed(state, "2a-internal", f"r{len(of.audited)}", of.now), why=why)
    elif kind == "abort":
        of.move("abort", walk.aborted(state, why, of.now), why=why)
    elif kind == "complete":
        now = Completing(phase=value, since=of.now, forced=why, accepted_lost=3, reason=why)  # type: ignore[arg-type]
        after = msgspec.structs.replace(state, phase="done", paused=None, since=of.now, completing=now)
        of.move(f"complete-{value}", after, why=why)
    elif kind == "reopen" and state.completing is not None:
        of.move("reopen", reopened(state, why, of.now), why=why)


def holds_together(of: Walked, report: Signoff) -> None:
    assert report.timeline == sorted(report.timeline, key=lambda one: one.at)
    for one in report.incidents:
        assert one.ended is None or one.ended >= one.began
        assert (one.ended is None) == (one.duration_s is None)
    brakes = [one for one in of.audited if one.action == "flags.brake"]
    assert len([one for one in report.incidents if one.kind in ("abort", "brake", "gate")]) >= len(brakes)
    for stage in report.stages:
        assert stage.left_at is None or stage.left_at >= stage.begun_at
    for before, after in zip(report.stages, report.stages[1:], strict=False):
        assert before.left_at is not None
        assert before.left_at <= after.begun_at
    totals = report.totals
    if totals is not None:
        every = sum(one.expected for one in of.minutes)
        assert totals.compared + totals.outside <= every
        if not report.completed:
            assert totals.compared + totals.outside == every
            assert totals.windows.evidence == sum(one.counts for one in of.minutes)
    for point in report.series.shares:
        assert point.percent is not None
        assert 0 <= point.percent <= 100


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_it_is_made_of_anything_and_counts_everything_once(steps: list[tuple[str, object, str]]) -> None:
    of = Walked(soak=4)
    for step in steps:
        done(of, step)
    report = build(of.collected())
    holds_together(of, report)
    assert msgspec.json.decode(msgspec.json.encode(report), type=Signoff, strict=False) == report
    page = page_of(report)
    assert page.endswith("</html>\n")
    assert "<script" not in page
