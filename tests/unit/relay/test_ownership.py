"""Which journal may write to a table, and in which epoch it goes on."""

from __future__ import annotations

import pytest

from migctl.delivery.ownership import Regressed, check, newest, settled
from migctl.errors import Refused
from migctl.journal import EpochInfo, Lost
from migctl.transports.realtime import Head
from tests.kit.entries import START


def _head(
    epoch: str = "E1", writer: str = "we", table: int = 10, journal: int = 10, prev: str | None = None
) -> Head:
    return Head(epoch, prev, None, None, writer, 0, START, 1, table, journal, START)


def _epoch(epoch: str, prev: str | None = None, head: int = 10, lost: Lost | None = None) -> EpochInfo:
    return EpochInfo(epoch, prev, *(lost or (None, None)), START, head=head)


def _check(heads: list[Head], epochs: list[EpochInfo]) -> Regressed | None:
    return check(heads, epochs, writer_id="we", target="public.monitoring_events")


def test_empty_table_and_own_table_are_ours() -> None:
    assert _check([], [_epoch("E1")]) is None
    assert _check([_head()], [_epoch("E1")]) is None
    assert _check([_head()], [_epoch("E1"), _epoch("E2", "E1", head=0)]) is None


def test_table_of_another_writer_is_refused_and_the_writer_named() -> None:
    with pytest.raises(Refused, match="belongs to the journal of writer they: epoch E0, last seq 7"):
        _check([_head("E0", "they", 7, 7)], [_epoch("E1")])


def test_another_writer_that_came_after_us_is_refused_too() -> None:
    with pytest.raises(Refused, match="writer they"):
        _check([_head(), _head("E9", "they", prev="E1")], [_epoch("E1")])


def test_table_of_another_writer_is_ours_once_its_epoch_was_adopted() -> None:
    assert _check([_head("E0", "they")], [_epoch("E1", "E0", head=0)]) is None


def test_journal_that_ends_before_what_the_table_heard_of_begins_a_new_epoch_and_says_what_neither_has() -> (
    None
):
    regressed = _check([_head(table=12, journal=15)], [_epoch("E1", head=9)])
    assert regressed is not None
    assert (regressed.prev_epoch, regressed.lost) == ("E1", (13, 15))
    assert "ends at seq 9, and public.monitoring_events has heard of seq 15" in regressed.reason


def test_nothing_is_lost_where_the_table_has_what_the_journal_lacks() -> None:
    regressed = _check([_head(table=15, journal=15)], [_epoch("E1", head=9)])
    assert regressed is not None
    assert regressed.lost is None


def test_journal_from_before_its_own_last_epoch_begins_one_after_that() -> None:
    regressed = _check([_head(), _head("E2", table=3, journal=4, prev="E1")], [_epoch("E1")])
    assert regressed is not None
    assert (regressed.prev_epoch, regressed.lost) == ("E2", (4, 4))


def test_the_newest_epoch_is_the_one_that_no_other_follows_whatever_the_clocks_said() -> None:
    head = newest([_head("E2", prev="E1"), _head("E1")])
    assert head is not None
    assert head.epoch == "E2"


@pytest.mark.parametrize(
    ("table", "journal", "had", "lost"),
    [
        (0, 0, (10, 20), (10, 20)),
        (14, 14, (10, 20), (15, 20)),
        (20, 20, (10, 20), None),
        (14, 25, (10, 20), (15, 25)),
    ],
)
def test_what_the_mark_thought_lost_is_settled_by_what_the_table_has(
    table: int, journal: int, had: Lost, lost: Lost | None
) -> None:
    epochs = [_epoch("E1", head=9), _epoch("E2", "E1", head=0, lost=had)]
    assert settled(epochs[1], [_head(table=table, journal=journal)], epochs) == lost


def test_what_the_mark_thought_lost_stays_so_where_the_table_knows_nothing() -> None:
    epochs = [_epoch("E1", head=9), _epoch("E2", "E1", head=0, lost=(10, 20))]
    assert settled(epochs[1], [], epochs) == (10, 20)
