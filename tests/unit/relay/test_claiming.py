"""Where journal and table part, and which epochs are still to be carried."""

from __future__ import annotations

import pytest

from migctl.delivery.claim import Parting, from_cursor
from migctl.events import Position
from migctl.journal import EpochInfo
from tests.kit.entries import START


def ask_all(low: int, high: int, same_to: int) -> tuple[int, list[int]]:
    parting, asked = Parting(low, high), []
    while (seq := parting.ask) is not None:
        asked.append(seq)
        parting.answer(same=seq <= same_to)
    return parting.at, asked


@pytest.mark.parametrize("low", [0, 3, 10])
@pytest.mark.parametrize("same_to", range(11))
def test_the_place_where_they_part_is_found(low: int, same_to: int) -> None:
    at, asked = ask_all(low, 10, max(low, same_to))
    assert at == max(low, same_to)
    assert all(low < seq <= 10 for seq in asked)


def test_the_end_is_asked_first_and_where_nothing_is_above_nothing_is_asked() -> None:
    assert ask_all(0, 1 << 20, 1 << 20) == (1 << 20, [1 << 20])
    assert ask_all(5, 5, 0) == (5, [])
    assert ask_all(5, 3, 0) == (3, [])
    assert len(ask_all(0, 1 << 20, 12345)[1]) <= 21


EPOCHS = [EpochInfo(name, None, None, None, START) for name in ("E1", "E2", "E3")]


@pytest.mark.parametrize(
    ("cursor", "left"),
    [
        (None, ["E1", "E2", "E3"]),
        (Position("E2", 7), ["E2", "E3"]),
        (Position("E3", 0), ["E3"]),
        (Position("E9", 7), ["E1", "E2", "E3"]),
    ],
)
def test_epochs_are_carried_from_that_of_the_cursor_on(cursor: Position | None, left: list[str]) -> None:
    assert [info.epoch for info in from_cursor(EPOCHS, cursor)] == left
