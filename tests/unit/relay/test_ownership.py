"""Which journal may write to a table."""

from __future__ import annotations

import pytest

from migctl.delivery.ownership import check
from migctl.errors import Refused
from migctl.journal import EpochInfo
from migctl.transports.realtime import Head
from tests.kit.entries import START


def _head(epoch: str = "E1", writer: str = "we", reached: int = 10) -> Head:
    return Head(epoch, None, None, None, writer, 0, START, 1, reached, reached, START)


def _epoch(epoch: str, prev: str | None = None) -> EpochInfo:
    return EpochInfo(epoch, prev, None, None, START)


def _check(heads: list[Head], epochs: list[EpochInfo], journal_head: int = 10) -> None:
    check(heads, epochs, writer_id="we", journal_head=journal_head, target="public.monitoring_events")


def test_empty_table_and_own_table_are_ours() -> None:
    _check([], [_epoch("E1")])
    _check([_head()], [_epoch("E1")])
    _check([_head()], [_epoch("E1"), _epoch("E2", "E1")], journal_head=0)


def test_table_of_another_writer_is_refused_and_the_writer_named() -> None:
    with pytest.raises(Refused, match="belongs to the journal of writer they: epoch E0, last seq 7"):
        _check([_head("E0", "they", 7)], [_epoch("E1")])


def test_table_of_another_writer_is_ours_once_its_epoch_was_adopted() -> None:
    _check([_head("E0", "they")], [_epoch("E1", "E0")], journal_head=0)


def test_journal_that_ends_before_what_the_table_heard_of_is_refused() -> None:
    with pytest.raises(Refused, match=r"ends at seq 9, and public\.monitoring_events has heard of seq 10"):
        _check([_head()], [_epoch("E1")], journal_head=9)


def test_journal_from_before_its_own_last_epoch_is_refused() -> None:
    with pytest.raises(Refused, match="epoch E2 of this journal's writer we"):
        _check([_head("E2")], [_epoch("E1")])
