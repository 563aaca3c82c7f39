"""What another journal left that this one may adopt, and whether the open epoch can still be made to follow it."""

from __future__ import annotations

import pytest

from migctl.delivery.adoption import Foreign, foreign, is_followed
from migctl.journal import EpochInfo, Lost, Mark
from migctl.target import Head
from tests.kit.entries import START


def _head(epoch: str = "E0", writer: str = "they", table: int = 7, journal: int = 7) -> Head:
    return Head(epoch, None, None, None, writer, 0, START, 1, table, journal, START)


def _epoch(epoch: str = "E1", prev: str | None = None) -> EpochInfo:
    return EpochInfo(epoch, prev, None, None, START)


def _mark(writer: str = "they", epoch: str = "E0", head: int = 9) -> Mark:
    return Mark(writer, epoch, head, START)


def _foreign(prev: str | None, last: int, lost: Lost | None) -> Foreign:
    return Foreign(prev, "they", last, START, lost)


OURS = _head("E1", "we")


@pytest.mark.parametrize(
    ("heads", "mark", "found"),
    [
        (None, None, None),
        ([], None, None),
        ([OURS], None, None),
        ([OURS], _mark("we", "E1"), None),
        ([_head()], None, _foreign("E0", 7, None)),
        ([_head(table=5)], None, _foreign("E0", 7, (6, 7))),
        ([_head()], _mark(), _foreign("E0", 9, (8, 9))),
        ([_head()], _mark(epoch="E9", head=20), _foreign("E0", 7, None)),
        (None, _mark(), _foreign("E0", 9, (1, 9))),
        (None, _mark(head=0), _foreign("E0", 0, None)),
        ([], _mark(), _foreign("E0", 9, (1, 9))),
        ([OURS], _mark(), _foreign(None, 9, None)),
    ],
)
def test_what_is_to_be_adopted(heads: list[Head] | None, mark: Mark | None, found: Foreign | None) -> None:
    assert foreign(heads, [_epoch()], mark, writer_id="we") == found


def test_a_journal_that_is_not_there_yet_adopts_whatever_the_table_has() -> None:
    assert foreign([OURS], [], None, writer_id=None) == Foreign("E1", "we", 7, START, None)


@pytest.mark.parametrize(
    ("opened", "heads", "followed"),
    [
        (_epoch(prev="E0"), [], True),
        (_epoch(prev="E0"), [_head("E1")], True),
        (_epoch(), [_head("E1")], True),
        (_epoch(), [_head("E0")], False),
        (_epoch(), None, False),
    ],
)
def test_an_epoch_that_somebody_may_follow_is_not_linked_anew(
    opened: EpochInfo, heads: list[Head] | None, followed: bool
) -> None:
    assert is_followed(opened, heads) is followed
