"""What is announced of an epoch, a test for each cell of the table in delivery/announcing.py."""

from __future__ import annotations

import pytest

from migctl.delivery.announcing import Announce, Quiet, Reached, decide, is_through

HERE = Reached(5, 9)


@pytest.mark.parametrize(
    ("announced", "reached", "due"),
    [
        (None, HERE, Announce(HERE)),
        (None, Reached(), Announce(Reached())),
        (HERE, HERE, Quiet(1.0)),
        (HERE, Reached(6, 9), Announce(Reached(6, 9))),
        (HERE, Reached(5, 10), Announce(Reached(5, 10))),
        (HERE, Reached(4, 9), Announce(Reached(4, 9))),
    ],
)
def test_what_is_due(announced: Reached | None, reached: Reached, due: Announce | Quiet) -> None:
    assert decide(announced, reached, behind_s=1.0) == due


@pytest.mark.parametrize(
    ("announced", "through"),
    [(Reached(4, 9), False), (Reached(9, 4), False), (Reached(5, 5), True), (Reached(6, 9), True)],
)
def test_a_seq_is_through_once_both_heads_are_there(announced: Reached, through: bool) -> None:
    assert is_through(announced, 5) is through
