"""What holds for every stream: batches, bisecting, backoff."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from migctl.delivery.batches import Batch, Bound, Hold, Rules, Waiting, form, is_backlog
from migctl.delivery.bisect import Bisect
from migctl.resilience import Backoff

classes = st.sampled_from(["high", "medium", "low"])
streams = st.lists(st.tuples(classes, st.integers(50, 5000), st.floats(0.0, 0.3)), min_size=1, max_size=300)
rules = st.builds(
    lambda high, medium, low, size, backlog, wait: Rules(
        bounds={"high": Bound(high, 0.1), "medium": Bound(medium, 0.5), "low": Bound(low, 2.0)},
        max_bytes=size,
        backlog_max_events=backlog,
        wait=wait,
    ),
    st.integers(1, 40), st.integers(1, 20), st.integers(1, 10), st.integers(1000, 100_000), st.integers(1, 500), st.booleans(),
)  # fmt: skip


@given(streams, rules, st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_batches_make_the_stream_again_and_keep_their_bounds(
    stream, rule: Rules, arrivals: list[int]
) -> None:
    at, waiting = 0.0, []
    for event_class, size, apart in stream:
        at += apart
        waiting.append(Waiting(event_class, size, at))
    taken = arrived = turn = 0
    now = 0.0
    while taken < len(waiting):
        if arrived < len(waiting):
            arrived = min(len(waiting), arrived + arrivals[turn % len(arrivals)])
            turn += 1
            now = max(now, waiting[arrived - 1].since_s)
        queue = waiting[taken:arrived]
        if not queue:
            continue
        decision = form(queue, now, rule)
        if isinstance(decision, Hold):
            assert rule.wait
            assert decision.until_s > now
            due = min(event.since_s + rule.bounds[event.event_class].max_wait_s for event in queue)
            assert decision.until_s <= due, "held beyond a class's time"
            if arrived == len(waiting):
                now = decision.until_s
            continue
        batch = queue[: decision.count]
        assert 1 <= len(batch) == decision.count
        assert len(batch) == 1 or sum(event.size for event in batch) <= rule.max_bytes
        if is_backlog(queue, now, rule):
            assert len(batch) <= rule.backlog_max_events
        else:
            for name, bound in rule.bounds.items():
                assert sum(event.event_class == name for event in batch) <= bound.max_events
        taken += decision.count
    assert taken == len(waiting)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_bisect_finds_exactly_the_poison_and_sends_the_rest_once_in_order(case: tuple[int, set[int]]) -> None:
    count, poison = case
    plan, written, found = Bisect(count), [], []
    while (part := plan.next()) is not None:
        if len(part) > 1 and poison & set(part):
            plan.refused()
            continue
        (found if part[0] in poison else written).extend(part)
        plan.done()
    assert found == sorted(poison)
    assert written == [index for index in range(count) if index not in poison]


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_stays_between_nothing_and_its_bound(failures: int, drawn: float) -> None:
    policy = Backoff(first_s=0.1, most_s=2.0)
    assert 0 <= policy.delay_s(failures, lambda: drawn) <= policy.bound_s(failures) <= 2.0


def test_a_batch_is_formed_whenever_something_waits_and_nothing_holds_it() -> None:
    rule = Rules({"high": Bound(1, 0.1), "medium": Bound(1, 0.1), "low": Bound(1, 0.1)}, 1000, 1)
    assert isinstance(form([Waiting("low", 5000, 0.0)], 0.0, rule), Batch)
