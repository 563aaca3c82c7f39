"""When a capture that was asked to stop has everything that was committed before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from migctl.events import Position
from migctl.validate.capture import has_reached, is_past

ASKED = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("last", "past"),
    [
        (None, False),
        (ASKED - timedelta(seconds=1), False),
        (ASKED, False),
        (ASKED + timedelta(microseconds=1), True),
    ],
)
def test_only_what_was_committed_later_closes_the_question(last: datetime | None, past: bool) -> None:
    assert is_past(last, ASKED) is past


@pytest.mark.parametrize(
    ("here", "head", "reached"),
    [
        (None, None, True),
        (Position("a", 3), None, True),
        (None, Position("a", 3), False),
        (Position("a", 2), Position("a", 3), False),
        (Position("a", 3), Position("a", 3), True),
        (Position("a", 4), Position("a", 3), True),
        (Position("b", 9), Position("a", 3), False),
    ],
)
def test_head_is_reached_in_its_own_epoch_alone(
    here: Position | None, head: Position | None, reached: bool
) -> None:
    assert has_reached(here, head) is reached
