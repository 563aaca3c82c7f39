"""Whatever the breakers do, nobody is sent to and fro."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from migctl.delivery.fallback import FallbackRule, Health
from migctl.resilience import BREAKER_STATES
from migctl.status import BreakersStatus
from tests.kit.statuses import breaker

_healths = st.builds(
    lambda table, broadcast, backlog, lag_s: Health(
        BreakersStatus(table=breaker(table), broadcast=breaker(broadcast)), backlog, lag_s
    ),
    st.sampled_from(BREAKER_STATES),
    st.sampled_from(BREAKER_STATES),
    st.booleans(),
    st.floats(0.0, 3.0),
)


@given(st.lists(st.tuples(st.floats(0.01, 3.0), _healths), max_size=200))
def test_moves_alternate_return_only_to_what_is_well_and_never_within_a_second(
    steps: list[tuple[float, Health]],
) -> None:
    rule = FallbackRule(max_lag_s=1.0, hold_s=10.0)
    now, fell_at = 100.0, None
    for wait_s, health in steps:
        now += wait_s
        states = {of.state for _, of in health.breakers.parts()}
        move = rule.step(now, health)
        if move is None:
            assert fell_at is not None or "open" not in states
        elif move.to == "websocket":
            assert fell_at is None
            assert "open" in states
            fell_at = now
        else:
            assert fell_at is not None
            assert now - fell_at >= 1.0
            assert (states, health.backlog, health.lag_s < 1.0) == ({"closed"}, False, True)
            fell_at = None
        assert rule.active == (fell_at is not None)


@given(st.floats(0.2, 2.0), st.floats(0.2, 2.0))
def test_a_breaker_that_goes_on_flapping_soon_leaves_people_where_they_are(
    open_s: float, closed_s: float
) -> None:
    rule = FallbackRule(max_lag_s=1.0, hold_s=10.0)
    moves = []
    now = 0.0
    while now < 600.0:
        broadcast = breaker("open" if now % (open_s + closed_s) < open_s else "closed")
        move = rule.step(now, Health(BreakersStatus(broadcast=broadcast), backlog=False, lag_s=0.0))
        if move is not None:
            moves.append(now)
        now += 0.1
    # Proof is asked for 0, 1, 2, 4 s: after the third fall or the fourth it is never well for so long.
    assert len(moves) <= 9
    assert rule.active
