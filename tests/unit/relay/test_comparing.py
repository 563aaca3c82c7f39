"""Comparing: where the relay goes on that was set back, and what is lost then."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from migctl.delivery.comparing import behind
from migctl.journal import EpochInfo, Lost

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("journal_tail", "has", "carried", "tail", "head", "lost"),
    [
        pytest.param(1, 20, 35, 1, 20, None, id="all of it is in the journal"),
        pytest.param(21, 20, 35, 1, 20, None, id="the journal begins where the rows end"),
        pytest.param(22, 20, 35, 22, 21, (21, 21), id="one is missing"),
        pytest.param(30, 0, 35, 30, 29, (1, 29), id="emptied, and trimmed"),
        pytest.param(36, 20, 35, 36, 35, (21, 35), id="nothing of it is in the journal"),
        pytest.param(90, 20, 35, 36, 35, (21, 35), id="nor of what came later"),
        pytest.param(1, 4, 35, 5, 4, None, id="what was pruned stays so"),
    ],
)
def test_what_the_journal_has_is_carried_again_and_the_rest_is_lost(
    journal_tail: int, has: int, carried: int, tail: int, head: int, lost: Lost | None
) -> None:
    info = EpochInfo("E", None, None, None, AT, 100, journal_tail, None)
    found = behind(info, has=has, carried=carried, tail=5 if has == 4 else 1)
    assert (found.tail, found.head, found.lost) == (tail, head, lost)
