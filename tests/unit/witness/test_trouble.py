"""Trouble: each cell of its table."""

from __future__ import annotations

import msgspec
import pytest

from migctl.validate.witness.minute import QUIET, Minute
from migctl.validate.witness.trouble import Bounds, Trouble, fault_of
from tests.kit.witnessing import at

GOOD = Minute(
    id="m",
    started_at=at(0),
    epoch="E1",
    first_seq=1,
    last_seq=1000,
    expected=1000,
    matched=1000,
    availability_percent=100.0,
)


def changed(**what: object) -> Minute:
    return msgspec.structs.replace(GOOD, **what)


UNSEEN = changed(verdict="inconclusive", reason="realtime is away")
BAD = changed(matched=900)
QUIET_ONE = changed(verdict="inconclusive", reason=QUIET, expected=0, matched=0)
ENDED = changed(verdict="terminated", reason="the witness ended first")


@pytest.mark.parametrize("minute", [UNSEEN, BAD])
def test_a_fault_raises_once_and_a_good_window_clears_once(minute: Minute) -> None:
    trouble = Trouble(Bounds())
    assert trouble.after(GOOD) is None
    raised = trouble.after(minute)
    assert raised is not None
    assert (raised.status, raised.reason) == ("raised", fault_of(minute, Bounds()))
    assert trouble.after(minute) is None
    cleared = trouble.after(GOOD)
    assert cleared is not None
    assert (cleared.status, cleared.reason, cleared.since) == ("cleared", raised.reason, raised.since)
    assert trouble.after(GOOD) is None


def test_what_is_found_out_is_not_hidden_behind_what_was_not_seen() -> None:
    trouble = Trouble(Bounds())
    first = trouble.after(UNSEEN)
    assert first is not None
    assert trouble.after(BAD) is None, "it is out already"
    assert trouble.out is not None
    assert (trouble.out.reason, trouble.out.since) == (fault_of(BAD, Bounds()), first.since)
    assert trouble.after(UNSEEN) is None
    assert trouble.out.reason == fault_of(BAD, Bounds())
    cleared = trouble.after(GOOD)
    assert cleared is not None
    assert (cleared.status, cleared.reason) == ("cleared", first.reason)


@pytest.mark.parametrize("minute", [QUIET_ONE, ENDED])
def test_a_window_that_says_nothing_neither_raises_nor_clears(minute: Minute) -> None:
    trouble = Trouble(Bounds())
    assert trouble.after(minute) is None
    trouble.after(BAD)
    assert trouble.after(minute) is None
    assert trouble.out is not None


def test_an_alert_of_the_process_before_is_cleared_and_not_raised_again() -> None:
    before = Trouble(Bounds())
    before.after(BAD)
    trouble = Trouble(Bounds(), before.out)
    assert trouble.after(BAD) is None
    cleared = trouble.after(GOOD)
    assert cleared is not None
    assert cleared.status == "cleared"


@pytest.mark.parametrize(
    ("minute", "words"),
    [
        (GOOD, None),
        (changed(lost=1), "1 events lost, and 0 may be"),
        (changed(matched=998), "99.800 % match, and 99.9 % must"),
        (changed(availability_percent=98.0), "98.000 % available, and 99 % must be"),
        (changed(availability_percent=None), "no figure"),
        (UNSEEN, "realtime is away"),
    ],
)
def test_what_is_wrong_is_said_in_words(minute: Minute, words: str | None) -> None:
    assert fault_of(minute, Bounds()) == words
