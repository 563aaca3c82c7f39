"""Which journal may write to a table, and in which epoch it goes on."""

from __future__ import annotations

import pytest

from migctl.delivery.ownership import Link, Regressed, certain, check, kept, links, regressed, settled
from migctl.errors import Refused
from migctl.events import Position
from migctl.journal import EpochInfo, Lost
from migctl.target import Head
from tests.kit.entries import START


def _head(
    epoch: str = "E1",
    writer: str = "we",
    table: int = 10,
    journal: int = 10,
    prev: str | None = None,
    lost: Lost | None = None,
) -> Head:
    return Head(epoch, prev, *(lost or (None, None)), writer, 0, START, 1, table, journal, START)


def _epoch(epoch: str, prev: str | None = None, head: int = 10, lost: Lost | None = None) -> EpochInfo:
    return EpochInfo(epoch, prev, *(lost or (None, None)), START, head=head)


def _check(heads: list[Head], epochs: list[EpochInfo]) -> None:
    check(heads, epochs, writer_id="we", target="public.monitoring_events")


def _regressed(heads: list[Head], epochs: list[EpochInfo], **keep: int) -> Regressed | None:
    return regressed(heads, epochs, keep, "public.monitoring_events")


def test_empty_table_and_own_table_are_ours() -> None:
    for heads, epochs in (
        ([], [_epoch("E1")]),
        ([_head()], [_epoch("E1")]),
        ([_head()], [_epoch("E1"), _epoch("E2", "E1", head=0)]),
    ):
        _check(heads, epochs)
        assert _regressed(heads, epochs) is None


def test_table_of_another_writer_is_refused_and_the_writer_named() -> None:
    with pytest.raises(Refused, match="belongs to the journal of writer they: epoch E0, last seq 7"):
        _check([_head("E0", "they", 7, 7)], [_epoch("E1")])


def test_another_writer_that_came_after_us_is_refused_too() -> None:
    with pytest.raises(Refused, match="writer they"):
        _check([_head(), _head("E9", "they", prev="E1")], [_epoch("E1")])


def test_table_of_another_writer_is_ours_once_its_epoch_was_adopted() -> None:
    _check([_head("E0", "they")], [_epoch("E1", "E0", head=0)])


def test_journal_that_ends_before_what_the_table_heard_of_begins_a_new_epoch_and_says_what_neither_has() -> (
    None
):
    found = _regressed([_head(table=12, journal=15)], [_epoch("E1", head=9)])
    assert found is not None
    assert (found.prev_epoch, found.lost) == ("E1", (13, 15))
    assert "ends at seq 9, and public.monitoring_events has heard of seq 15" in found.reason


def test_nothing_is_lost_where_the_table_has_what_the_journal_lacks() -> None:
    found = _regressed([_head(table=15, journal=15)], [_epoch("E1", head=9)])
    assert found is not None
    assert found.lost is None


def test_journal_from_before_its_own_last_epoch_begins_one_after_that() -> None:
    found = _regressed([_head(), _head("E2", table=3, journal=4, prev="E1")], [_epoch("E1")])
    assert found is not None
    assert (found.prev_epoch, found.lost) == ("E2", (4, 4))


def test_what_may_not_keep_its_place_wants_a_new_epoch_even_where_the_table_heard_of_no_more() -> None:
    found = _regressed([_head(table=8, journal=8)], [_epoch("E1", head=12)], E1=5)
    assert found is not None
    assert (found.prev_epoch, found.lost) == ("E1", None)
    assert "other events than the journal from seq 6 of epoch E1 on" in found.reason


@pytest.mark.parametrize(
    ("table", "journal", "head", "agreed", "sure", "is_end", "keeps"),
    [
        (10, 10, 15, 10, 15, True, None),  # what the relay still owes
        (10, 15, 15, 10, 15, True, None),  # and the table has heard of it
        (10, 15, 13, 10, 10, True, 10),  # taken alone by an older copy, at seqs that the table heard of
        (10, 15, 20, 10, 10, True, 10),  # the same, and more than it heard of
        (10, 10, 15, 10, 10, True, None),  # taken alone, and nobody had those seqs before
        (10, 15, 13, 10, 12, True, 12),
        (10, 10, 12, 4, 12, True, 4),  # other events at the same seqs
        (10, 10, 12, 10, 12, False, 10),  # readers went on from 10 to the next epoch
        (10, 10, 8, 8, 8, False, 8),
    ],
)
def test_an_epoch_keeps_what_is_certainly_its_own(
    table: int, journal: int, head: int, agreed: int, sure: int, is_end: bool, keeps: int | None
) -> None:
    found = kept(_head(table=table, journal=journal), _epoch("E1", head=head), agreed, sure, is_end=is_end)
    assert found == keeps


def test_what_was_taken_before_the_table_could_be_asked_is_not_certain() -> None:
    epochs = [_epoch("E1", head=9), _epoch("E2", "E1", head=7), _epoch("E3", "E2", head=5)]
    assert [certain(info, epochs, None) for info in epochs] == [9, 7, 5]
    assert [certain(info, epochs, Position("E2", 3)) for info in epochs] == [9, 3, 0]
    assert [certain(info, epochs, Position("E0", 3)) for info in epochs] == [9, 7, 5]


def test_epochs_that_the_table_does_not_know_follow_the_end_of_its_chain_one_after_the_other() -> None:
    heads = [_head("E1"), _head("E9", table=4, journal=6, prev="E1")]
    epochs = [
        _epoch("E1"),
        _epoch("E2", "E1", head=3),
        _epoch("E3", "E2", head=0, lost=(4, 8)),
        _epoch("E4", "E9"),
    ]
    assert links(heads, epochs, epochs) == [
        Link("E1", None, None),
        Link("E2", "E9", (5, 6)),
        Link("E3", "E2", (4, 8)),
        Link("E4", "E3", None),
    ]


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
    assert settled(_head(table=table, journal=journal), epochs) == lost
    assert links([_head(table=table, journal=journal)], epochs, epochs)[1:] == [Link("E2", "E1", lost)]


@pytest.mark.parametrize("lost", [None, (12, 13)])
def test_what_was_lost_before_an_epoch_that_the_table_knows_stays_as_the_table_was_told(
    lost: Lost | None,
) -> None:
    heads = [_head("E1", table=20), _head("E2", table=3, journal=3, prev="E1", lost=lost)]
    epochs = [_epoch("E1", head=9), _epoch("E2", "E1", head=0, lost=(10, 20)), _epoch("E3", "E2", head=0)]
    assert links(heads, epochs, epochs) == [
        Link("E1", None, None),
        Link("E2", "E1", lost),
        Link("E3", "E2", None),
    ]


def test_a_table_that_knows_nothing_changes_no_link() -> None:
    epochs = [_epoch("E1", head=9), _epoch("E2", "E1", head=0, lost=(10, 20))]
    assert links([], epochs, epochs) == []


def test_what_a_table_lacks_that_went_back_in_time_is_not_lost_where_the_journal_has_it() -> None:
    """It knows the first epoch as it was before its end, and was at 5 then; the relay is in the second."""
    epochs = [_epoch("E1", head=9), _epoch("E2", "E1", head=4)]
    assert links([_head("E1", table=5, journal=7)], epochs[1:], epochs) == [Link("E2", "E1", None)]


def test_epochs_whose_heads_were_to_be_told_again_come_before_those_that_were() -> None:
    """The table was emptied, and the relay ended after it had told of E3 and E4, the newest first."""
    heads = [_head("E4", prev="E3"), _head("E3", prev="E2", lost=(8, 9))]
    epochs = [
        _epoch("E1"),
        _epoch("E2", "E1", lost=(11, 12)),
        _epoch("E3", "E2", lost=(8, 9)),
        _epoch("E4", "E3"),
        _epoch("E5", "E4"),
    ]
    assert links(heads, epochs, epochs) == [
        Link("E1", None, None),
        Link("E2", "E1", (11, 12)),
        Link("E3", "E2", (8, 9)),
        Link("E4", "E3", None),
        Link("E5", "E4", None),
    ]
