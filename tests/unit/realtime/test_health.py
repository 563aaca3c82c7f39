"""When the canary counts as silent, and what each sign does to the breaker of broadcast: each cell of the tables."""

from __future__ import annotations

import pytest

from migctl.resilience import BreakerRules, BreakerState
from migctl.transports.realtime.health import PROBE_S, REFUSALS, Health, Silence


def watch() -> Silence:
    return Silence(every_s=0.5, silent_s=1.5, first_s=5.0)


def silent_from(one: Silence, start: float, until: float) -> float | None:
    """The first probe, every PROBE_S, at which it is silent."""
    steps = round((until - start) / PROBE_S)
    return next((at for at in (start + step * PROBE_S for step in range(steps + 1)) if one.probe(at)), None)


def test_silence_begins_at_the_canary_that_arrived_last() -> None:
    one = watch()
    assert one.arrived(one.sent(0.0), 0.02) == 0.02
    for at in (0.5, 1.0, 1.5):
        assert silent_from(one, at - 0.4, at) is None
        one.sent(at)
    found = silent_from(one, 1.51, 3.0)
    assert found is not None
    assert 1.52 <= found < 1.52 + 2 * PROBE_S


def test_canaries_that_arrive_are_never_silence_however_late_they_are() -> None:
    one = watch()
    waiting: list[int] = []
    for step in range(600):
        at = step * PROBE_S
        if step % 5 == 0:
            waiting.append(one.sent(at))
        if len(waiting) > 2:  # each takes a second
            assert one.arrived(waiting.pop(0), at + 0.05) is not None
        assert not one.probe(at + 0.06)


def test_first_canary_may_take_longer_than_a_later_one() -> None:
    one = watch()
    for step in range(10):
        one.sent(step * 0.5)
    found = silent_from(one, 0.0, 10.0)
    assert found is not None
    assert 5.0 <= found < 5.0 + 2 * PROBE_S


def test_nothing_sent_is_nothing_missed() -> None:
    one = watch()
    assert silent_from(one, 0.0, 30.0) is None
    one.arrived(one.sent(30.0), 30.01)
    assert silent_from(one, 30.1, 60.0) is None


def test_process_that_was_stopped_does_not_take_its_own_absence_for_silence() -> None:
    one = watch()
    one.arrived(one.sent(0.0), 0.01)
    one.sent(0.5)
    assert silent_from(one, 0.1, 0.6) is None
    # Stopped for a minute; the canary of 0.5 s is in the socket's buffer still.
    assert not one.probe(60.0)
    found = silent_from(one, 60.1, 63.0)
    assert found is not None
    assert found > 60.8


def test_one_that_was_given_up_is_not_taken_for_an_answer_to_the_trial() -> None:
    one = watch()
    given_up = one.sent(0.0)
    one.restart()
    trial = one.sent(10.0)
    assert one.arrived(given_up, 10.1) is None
    assert silent_from(one, 10.0, 11.4) is None
    assert one.arrived(trial, 11.45) is not None
    assert silent_from(one, 11.5, 20.0) is None


# Health.

RULES = BreakerRules(consecutive_failures=3, open_s=1.0, max_open_s=10.0)


def health() -> Health:
    return Health(RULES, every_s=0.5, silent_s=1.5, first_s=1.5)


def silence(one: Health, start: float) -> float:
    """Probe from `start` on until it is silent; when that was."""
    at = start
    while not one.probe(at):
        at += PROBE_S
        assert at < start + 60.0, "never silent"
    return at


def closed() -> tuple[Health, int, float]:
    """One that works; the number of a canary on its way, and the time."""
    one = health()
    number = one.due(99.5)
    assert number is not None
    one.arrived(number, 99.6)
    one.probe(100.0)
    awaited = one.due(100.0)
    assert awaited is not None
    return one, awaited, 100.0


def opened() -> tuple[Health, int, float]:
    """One whose breaker opened by failures at 100.0, with a canary on its way."""
    one, awaited, now = closed()
    for _ in range(RULES.consecutive_failures):
        one.failed(now, "refused")
    return one, awaited, now


def on_trial() -> tuple[Health, int, float]:
    one, _, now = opened()
    trial = one.due(now + RULES.open_s)
    assert trial is not None
    one.probe(now + RULES.open_s)
    return one, trial, now + RULES.open_s


STATES = {"closed": closed, "open": opened, "half_open": on_trial}


def states(*names: BreakerState) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("state", names or tuple(STATES))


@states()
def test_the_three_states_are_what_they_are_called(state: BreakerState) -> None:
    assert STATES[state]()[0].state == state


@states("closed", "half_open")
def test_canary_goes_at_its_turn(state: BreakerState) -> None:
    one, awaited, now = STATES[state]()
    number = one.due(now + 0.5)
    assert number is not None
    assert number > awaited
    assert one.state == state


def test_open_breaker_keeps_canaries_until_the_trial_and_awaits_only_what_goes_from_then_on() -> None:
    one, before, now = opened()
    assert one.due(now + RULES.open_s - 0.01) is None
    assert one.state == "open"
    trial = one.due(now + RULES.open_s)
    assert trial is not None
    assert one.state == "half_open"
    assert one.arrived(before, now + 1.1) is None
    assert one.state == "half_open"


def test_canary_that_arrives_ends_a_row_of_failures() -> None:
    one, awaited, now = closed()
    one.failed(now, "refused")
    one.failed(now, "refused")
    assert one.arrived(awaited, now + 0.1) == pytest.approx(0.1)
    one.failed(now + 0.2, "refused")
    assert one.state == "closed"


def test_canary_that_arrives_while_open_is_counted_and_opens_nothing() -> None:
    one, awaited, now = opened()
    assert one.arrived(awaited, now + 0.1) == pytest.approx(0.1)
    assert one.state == "open"


def test_canary_that_arrives_during_the_trial_closes() -> None:
    one, trial, now = on_trial()
    assert one.arrived(trial, now + 0.1) == pytest.approx(0.1)
    assert one.state == "closed"


@states()
def test_canary_that_is_not_awaited_changes_nothing(state: BreakerState) -> None:
    one, awaited, now = STATES[state]()
    assert one.arrived(awaited + 100, now) is None
    assert one.state == state


def test_silence_opens_at_once_whatever_was_acknowledged() -> None:
    one, awaited, now = closed()
    at = silence(one, now)
    assert 1.0 <= at - now < 2.0
    assert one.state == "open"
    assert one.reason == "no canary seen for 1.5 s"
    assert one.arrived(awaited, at + 0.1) is None, "what was missed is awaited no more"


def test_silence_says_what_is_known_of_who_listens() -> None:
    one, _, now = closed()
    for step in range(100):
        if one.probe(now + step * PROBE_S, trouble="the socket was closed"):
            break
    assert one.reason == "no canary seen for 1.5 s: the socket was closed"


def test_silence_says_by_which_ways() -> None:
    one, _, now = closed()
    at = now
    while not one.probe(at, by=["broadcast", "postgres_changes"]):
        at += PROBE_S
    assert one.reason == "no canary seen by broadcast and postgres_changes for 1.5 s"


def test_silence_while_open_asks_for_a_new_socket_and_changes_nothing_else() -> None:
    one, _, now = opened()
    silence(one, now)
    assert (one.state, one.reason) == ("open", "refused")


def test_silence_ends_the_trial_and_the_next_one_comes_half_as_soon() -> None:
    one, _, now = on_trial()
    at = silence(one, now)
    assert one.state == "open"
    assert one.due(at + 2 * RULES.open_s - 0.01) is None
    assert one.due(at + 2 * RULES.open_s) is not None


@states()
def test_probe_that_finds_no_silence_changes_nothing(state: BreakerState) -> None:
    one, _, now = STATES[state]()
    assert not one.probe(now + PROBE_S)
    assert one.state == state


def test_failures_count_while_closed_and_open_as_the_rules_say() -> None:
    one, _, now = closed()
    one.failed(now, "refused")
    one.failed(now, "refused")
    assert one.state == "closed"
    one.failed(now, "refused")
    assert (one.state, one.reason) == ("open", "refused")


@states("open", "half_open")
def test_failures_decide_nothing_once_it_is_for_a_canary_to_decide(state: BreakerState) -> None:
    one, _, now = STATES[state]()
    for _ in range(10):
        one.failed(now, "refused again")
    assert one.state == state


@pytest.mark.parametrize(
    ("state", "after"), [("closed", "open"), ("open", "open"), ("half_open", "half_open")]
)
def test_refusals_for_the_rate_open_only_what_is_closed(state: BreakerState, after: BreakerState) -> None:
    one, _, now = STATES[state]()
    one.refused(now, REFUSALS)
    assert one.state == after


@states()
def test_a_peak_of_the_rate_changes_nothing(state: BreakerState) -> None:
    one, _, now = STATES[state]()
    one.refused(now, REFUSALS - 1)
    assert one.state == state


@states("closed", "half_open")
def test_a_way_that_is_open_anew_changes_nothing_where_canaries_go_already(state: BreakerState) -> None:
    one, _, now = STATES[state]()
    one.reached(now)
    assert one.state == state


def test_a_way_that_is_open_anew_lets_the_trial_go_at_once() -> None:
    one, _, now = opened()
    one.reached(now + 0.1)
    assert one.state == "open"
    assert one.due(now + 0.1) is not None
    assert one.state == "half_open"


def test_another_bound_of_silence_holds_for_what_is_awaited_already() -> None:
    one = watch()
    one.arrived(one.sent(0.0), 0.02)
    one.sent(0.5)
    one.follow(every_s=0.5, silent_s=4.0)
    assert silent_from(one, 0.5, 3.9) is None
    one.follow(every_s=0.2, silent_s=1.0)
    assert one.probe(4.0)


def test_the_first_canary_is_waited_for_as_before_whatever_was_changed() -> None:
    one = watch()
    one.sent(0.0)
    one.follow(every_s=0.5, silent_s=0.6)
    assert silent_from(one, 0.0, 4.9) is None
    found = silent_from(one, 5.0, 6.0)
    assert found is not None
