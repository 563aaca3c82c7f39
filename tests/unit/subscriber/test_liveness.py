"""A link's liveness, a test for each cell of the table in core/liveness.py."""

from __future__ import annotations

import pytest

from migctl.subscriber.core.attachment import Observed
from migctl.subscriber.core.liveness import FORGET_S, LATE_S, QUIET_S, QUIET_TIMES, Liveness, patience

SILENCE_S = 10.0
LAST_HEARD = 103.0


def away() -> Liveness:
    return Liveness(90.0, silence_s=SILENCE_S)


def joined() -> Liveness:
    """At 100, heard at 103; silent from 113 on."""
    liveness = away()
    liveness.join(100.0)
    liveness.hear(LAST_HEARD)
    return liveness


NOW, SILENT = 104.0, 113.0


@pytest.mark.parametrize(
    ("state", "now", "since"),
    [(away, NOW, NOW), (joined, NOW, NOW), (joined, SILENT, SILENT)],
    ids=["away", "joined", "silent"],
)
def test_join_begins_a_new_life(state: type, now: float, since: float) -> None:
    liveness = state()
    liveness.join(now)
    assert (liveness.up, liveness.observed.since, liveness.next_at) == (True, since, now + SILENCE_S)


def test_what_comes_while_it_is_away_brings_nothing_back() -> None:
    liveness = away()
    liveness.hear(NOW)
    assert liveness.observed == Observed(up=False, since=90.0, heard_at=None, silence_s=SILENCE_S)
    assert liveness.decide(NOW) == "rejoin"


@pytest.mark.parametrize("now", [NOW, SILENT], ids=["joined", "silent"])
def test_what_is_heard_keeps_it(now: float) -> None:
    liveness = joined()
    liveness.hear(now)
    assert liveness.observed == Observed(up=True, since=100.0, heard_at=now, silence_s=SILENCE_S)
    assert liveness.decide(now + SILENCE_S - 0.1) == "keep"


def test_a_loss_while_it_is_away_changes_nothing() -> None:
    liveness = away()
    liveness.lose(NOW)
    assert liveness.observed.since == 90.0


@pytest.mark.parametrize(("now", "since"), [(NOW, NOW), (SILENT, LAST_HEARD)], ids=["joined", "silent"])
def test_a_loss_counts_from_now_but_of_a_silent_link_from_when_it_was_last_heard(
    now: float, since: float
) -> None:
    liveness = joined()
    liveness.lose(now)
    assert (liveness.up, liveness.observed.since) == (False, since)
    assert liveness.decide(now) == "rejoin"


def test_a_joined_link_is_kept_until_it_is_silent_and_left_from_then_on() -> None:
    liveness = joined()
    assert liveness.next_at == SILENT
    assert liveness.decide(SILENT - 0.1) == "keep"
    assert liveness.decide(SILENT) == "leave"


def test_a_link_over_which_nothing_ever_came_is_silent_as_long_after_it_was_joined() -> None:
    liveness = away()
    liveness.join(100.0)
    assert liveness.decide(109.9) == "keep"
    assert liveness.decide(110.0) == "leave"


def test_what_was_heard_in_an_earlier_life_does_not_shorten_this_one() -> None:
    liveness = joined()
    liveness.lose(NOW)
    liveness.join(200.0)
    assert liveness.decide(209.9) == "keep"


def test_how_long_it_may_be_silent_is_what_the_other_end_says_now() -> None:
    liveness = joined()
    liveness.silence_s = 2.0
    assert liveness.decide(NOW) == "keep"
    assert liveness.decide(LAST_HEARD + 2.0) == "leave"


def test_time_away_begins_when_it_is_wanted() -> None:
    liveness = away()
    liveness.start(95.0)
    assert liveness.observed.since == 95.0
    liveness.join(100.0)
    liveness.start(101.0)
    assert liveness.observed.since == 100.0


def busy(*, took_s: float = 0.05) -> Liveness:
    """Joined at 0, able to be asked, and heard every tenth of a second until 100."""
    liveness = Liveness(0.0, silence_s=SILENCE_S)
    liveness.join(0.0, asks=True, took_s=took_s)
    for tenth in range(1, 1001):
        liveness.hear(tenth / 10)
    return liveness


def doubted() -> Liveness:
    liveness = busy()
    liveness.ask(100.0 + QUIET_S)
    return liveness


LEAST_S = 0.75  # of `patience`
MUTE = 100.0 + QUIET_S + LEAST_S


def test_a_link_that_brought_something_all_the_time_is_asked_as_soon_as_it_is_quiet() -> None:
    liveness = busy()
    assert liveness.next_at == 100.0 + QUIET_S
    assert liveness.decide(100.0 + QUIET_S - 0.01) == "keep"
    assert liveness.decide(100.0 + QUIET_S) == "ask"


def test_a_link_that_can_not_be_asked_is_kept_until_it_is_silent() -> None:
    liveness = joined()
    assert liveness.decide(SILENT - 0.01) == "keep"


def test_a_link_that_usually_pauses_is_not_asked_before_it_pauses_longer() -> None:
    liveness = Liveness(0.0, silence_s=SILENCE_S)
    liveness.join(0.0, asks=True)
    for at in (4.0, 8.0, 12.0):
        liveness.hear(at)
    assert liveness.decide(12.0 + QUIET_TIMES * 4.0 - 0.01) == "keep"
    assert liveness.decide(12.0 + QUIET_TIMES * 4.0) == "ask"


def test_a_long_pause_is_forgotten() -> None:
    liveness = Liveness(0.0, silence_s=SILENCE_S)
    liveness.join(0.0, asks=True)
    liveness.hear(4.0)
    at = 4.0
    while at < 4.0 + 3 * FORGET_S:
        at += 0.1
        liveness.hear(at)
    assert liveness.decide(at + QUIET_S) == "ask"


def test_who_was_asked_and_says_nothing_is_left() -> None:
    liveness = doubted()
    assert liveness.next_at == MUTE
    assert liveness.decide(MUTE - 0.01) == "keep"
    assert liveness.decide(MUTE) == "leave"
    assert liveness.reason == "nothing came any more, and no answer for 0.75 s"
    liveness.lose(MUTE)
    assert liveness.observed.since == 100.0, "it was lost when it was last heard"


def test_a_slow_line_is_given_as_long_as_answers_take_there() -> None:
    liveness = busy(took_s=0.6)
    liveness.ask(101.0)
    assert liveness.decide(102.7) == "keep"
    liveness.answer(102.7)
    assert liveness.decide(102.7) == "keep"


def test_who_was_left_for_an_answer_that_did_not_come_has_twice_as_long_the_next_time() -> None:
    liveness = doubted()
    liveness.lose(MUTE)
    liveness.join(110.0, asks=True)
    liveness.ask(111.0)
    assert liveness.decide(111.0 + 2 * LEAST_S - 0.01) == "keep"
    assert liveness.decide(111.0 + 2 * LEAST_S) == "leave"


def test_an_answer_ends_the_doubt_and_the_next_question_waits_twice_as_long() -> None:
    liveness = doubted()
    now = 100.0 + QUIET_S + 0.05
    liveness.answer(now)
    assert liveness.decide(now + 2 * QUIET_S - 0.01) == "keep"
    assert liveness.decide(now + 2 * QUIET_S) == "ask"
    liveness.ask(now + 2 * QUIET_S)
    liveness.answer(now + 2 * QUIET_S)
    assert liveness.decide(now + 2 * QUIET_S + 4 * QUIET_S) == "ask"


def test_an_answer_is_no_sign_of_who_speaks_over_the_link() -> None:
    liveness = doubted()
    liveness.answer(101.0)
    assert liveness.observed.heard_at == 100.0
    liveness.ask(109.8)
    assert liveness.decide(100.0 + SILENCE_S) == "leave"
    assert liveness.reason == "no heartbeat for 10 s"


def test_what_is_heard_ends_the_doubt() -> None:
    liveness = doubted()
    liveness.hear(101.0)
    assert liveness.decide(MUTE) == "keep"


def test_an_answer_that_nobody_waits_for_changes_nothing() -> None:
    liveness = busy()
    liveness.answer(100.1)
    assert liveness.decide(100.0 + QUIET_S) == "ask"
    gone = away()
    gone.answer(95.0)
    assert gone.decide(95.0) == "rejoin"


@pytest.mark.parametrize(("state", "due"), [(doubted, MUTE), (joined, SILENT)], ids=["mute", "silent"])
def test_a_verdict_that_is_found_late_is_put_off_once(state: type, due: float) -> None:
    """This process stood still: what came meanwhile is still to be read."""
    liveness, now = state(), due + LATE_S
    assert liveness.decide(now) == "keep"
    assert liveness.next_at > now
    assert liveness.decide(liveness.next_at + 100) == "leave", "once"


def test_who_is_heard_after_all_may_be_late_again() -> None:
    liveness = joined()
    assert liveness.decide(SILENT + 60) == "keep"
    liveness.hear(SILENT + 61)
    assert liveness.decide(SILENT + 60 + 3 * SILENCE_S) == "keep"


def test_nobody_is_blamed_for_what_was_not_listened_to() -> None:
    liveness = joined()
    liveness.excuse(SILENT - 1)
    assert liveness.decide(SILENT) == "keep"
    assert liveness.decide(SILENT - 1 + SILENCE_S) == "leave"


def test_a_new_life_owes_no_answer_to_an_old_question() -> None:
    liveness = doubted()
    liveness.lose(100.9)
    assert liveness.observed.since == 100.9, "it was lost before it was mute"
    liveness.join(101.0, asks=True)
    assert liveness.decide(MUTE) == "keep"


def test_patience_has_bounds() -> None:
    unknown, quick, slow = patience(), patience(), patience()
    quick.answered(0.001)
    slow.answered(60.0)
    assert (unknown.seconds(), quick.seconds(), slow.seconds()) == (1.5, LEAST_S, 10.0)
