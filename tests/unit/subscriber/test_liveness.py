"""A link's liveness, a test for each cell of the table in core/liveness.py."""

from __future__ import annotations

import pytest

from migctl.subscriber.core.attachment import Observed
from migctl.subscriber.core.liveness import Liveness

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
    assert (liveness.up, liveness.observed.since, liveness.silent_at) == (True, since, now + SILENCE_S)


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
    assert liveness.silent_at == SILENT
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
