"""When the canary counts as silent."""

from __future__ import annotations

from migctl.transports.realtime.canary import LOOK_S, Watch


def watch() -> Watch:
    return Watch(every_s=0.5, silent_s=1.5, first_s=5.0)


def silent_from(one: Watch, start: float, until: float) -> float | None:
    """The first look, every LOOK_S, at which it is silent."""
    steps = round((until - start) / LOOK_S)
    return next((at for at in (start + step * LOOK_S for step in range(steps + 1)) if one.silent(at)), None)


def test_silence_begins_at_the_canary_that_was_seen_last() -> None:
    one = watch()
    assert one.seen(one.sent(0.0), 0.02) == 0.02
    for at in (0.5, 1.0, 1.5):
        assert silent_from(one, at - 0.4, at) is None
        one.sent(at)
    found = silent_from(one, 1.51, 3.0)
    assert found is not None
    assert 1.52 <= found < 1.52 + 2 * LOOK_S


def test_canaries_that_are_seen_are_never_silence_however_late_they_are() -> None:
    one = watch()
    waiting: list[int] = []
    for step in range(600):
        at = step * LOOK_S
        if step % 5 == 0:
            waiting.append(one.sent(at))
        if len(waiting) > 2:  # each takes a second
            assert one.seen(waiting.pop(0), at + 0.05) is not None
        assert not one.silent(at + 0.06)


def test_first_canary_may_take_longer_than_a_later_one() -> None:
    one = watch()
    for step in range(10):
        one.sent(step * 0.5)
    found = silent_from(one, 0.0, 10.0)
    assert found is not None
    assert 5.0 <= found < 5.0 + 2 * LOOK_S


def test_nothing_sent_is_nothing_missed() -> None:
    one = watch()
    assert silent_from(one, 0.0, 30.0) is None
    one.seen(one.sent(30.0), 30.01)
    assert silent_from(one, 30.1, 60.0) is None


def test_process_that_was_stopped_does_not_take_its_own_absence_for_silence() -> None:
    one = watch()
    one.seen(one.sent(0.0), 0.01)
    one.sent(0.5)
    assert silent_from(one, 0.1, 0.6) is None
    # Stopped for a minute; the canary of 0.5 s is in the socket's buffer still.
    assert not one.silent(60.0)
    found = silent_from(one, 60.1, 63.0)
    assert found is not None
    assert found > 60.8


def test_one_that_was_given_up_is_not_taken_for_an_answer_to_the_trial() -> None:
    one = watch()
    given_up = one.sent(0.0)
    one.restart()
    trial = one.sent(10.0)
    assert one.seen(given_up, 10.1) is None
    assert silent_from(one, 10.0, 11.4) is None
    assert one.seen(trial, 11.45) is not None
    assert silent_from(one, 11.5, 20.0) is None
