"""Log: the epochs."""

from __future__ import annotations

import asyncio

import pytest

from migctl.events import Position
from migctl.journal import (
    EpochMoved,
    Log,
)
from tests.contract.journal.samples import event, ids


async def test_a_follower_goes_from_the_end_of_an_epoch_to_the_first_seq_of_the_next(
    log: Log,
) -> None:
    first = log.epoch
    seen: list[tuple[str, int]] = []

    async def follow() -> None:
        async for entries in log.follow(0):
            seen.extend((entry.epoch, entry.seq) for entry in entries)
            if len(seen) == 7:
                return

    await log.append([event(n) for n in range(3)])
    follower = asyncio.create_task(follow())
    waiting = asyncio.create_task(log.wait(3))
    info = await log.rotate_epoch(first, lost=(4, 9), reason="an older copy was put back")
    assert await asyncio.wait_for(waiting, 10) == 0
    answer = await log.append([event(n) for n in range(4)])
    await asyncio.wait_for(follower, 10)
    assert seen == [(first, 1), (first, 2), (first, 3), *((info.epoch, seq) for seq in (1, 2, 3, 4))]
    assert (log.epoch, log.head, log.tail) == (info.epoch, 4, 1)
    assert (answer.epoch, answer.first_seq) == (info.epoch, 1)
    epochs = await log.epochs()
    assert [(each.prev_epoch, each.lost, each.head) for each in epochs] == [
        (None, None, 3),
        (first, (4, 9), 4),
    ]
    assert [entry.seq for entry in await log.read(1, epoch=first)] == [2, 3]
    assert await log.read(0, epoch="no epoch of ours") == []


async def test_what_a_new_epoch_does_not_let_the_old_one_keep_is_moved_to_it_in_order(
    log: Log,
) -> None:
    first = log.epoch
    sent = [event(n) for n in range(5)]
    await log.append(sent)
    info = await log.rotate_epoch(first, lost=None, reason="another history", keep_to={first: 2})
    assert [entry.event.id for entry in await log.read(0, epoch=first)] == [each.id for each in sent[:2]]
    assert await ids(log) == [(seq, each.id) for seq, each in enumerate(sent[2:], 1)]
    again = await log.append([sent[4], event(9)])
    assert (again.accepted, again.duplicates, again.first_seq) == (1, 1, 4)
    assert info.prev_epoch == first


async def test_what_several_epochs_may_not_keep_is_moved_to_one_in_order(log: Log) -> None:
    first = log.epoch
    sent = [event(n) for n in range(7)]
    await log.append(sent[:4])
    second = await log.rotate_epoch(first, lost=None, reason="an operator wanted it")
    await log.append(sent[4:])
    await log.rotate_epoch(
        second.epoch, lost=None, reason="another history", keep_to={first: 3, second.epoch: 1}
    )
    assert [entry.event.id for entry in await log.read(0, epoch=first)] == [each.id for each in sent[:3]]
    assert [entry.event.id for entry in await log.read(0, epoch=second.epoch)] == [sent[4].id]
    assert await ids(log) == [(1, sent[3].id), (2, sent[5].id), (3, sent[6].id)]
    assert [info.head for info in await log.epochs()] == [3, 1, 3]


async def test_what_was_taken_without_asking_the_table_is_remembered_until_it_was_asked(
    log: Log,
) -> None:
    first = log.epoch
    assert await log.unconfirmed() is None
    await log.append([event(1)])
    await log.append([event(2)])
    assert await log.unconfirmed() == Position(first, 0)
    await log.confirm()
    await log.append([event(3)])
    assert await log.unconfirmed() is None


async def test_what_an_epoch_follows_can_be_settled_later(log: Log) -> None:
    await log.append([event(1)])
    await log.link_epoch(log.epoch, prev_epoch="theirs", lost=(3, 4), reason="adopted")
    (info,) = await log.epochs()
    assert (info.prev_epoch, info.lost, info.head, info.reason) == ("theirs", (3, 4), 1, "adopted")


async def test_a_duplicate_from_before_the_epoch_is_told_with_the_epoch_that_it_is_in(
    log: Log,
) -> None:
    first = log.epoch
    old = [event() for _ in range(3)]
    await log.append(old)
    await log.rotate_epoch(first, lost=None, reason="an older copy was put back")
    new = event()
    answer = await log.append([new, old[2], new, old[0]])
    assert answer.positions() == [
        Position(log.epoch, 1),
        Position(first, 3),
        Position(log.epoch, 1),
        Position(first, 1),
    ]
    assert answer.is_new() == [True, False, False, False]
    assert (answer.accepted, answer.duplicates) == (1, 3)


async def test_an_epoch_that_is_not_the_open_one_is_not_ended(log: Log) -> None:
    first = log.epoch
    await log.append([event(1)])
    second = await log.rotate_epoch(first, lost=None, reason="an operator wanted it")
    with pytest.raises(EpochMoved, match=second.epoch):
        await log.rotate_epoch(first, lost=None, reason="another wanted it too")
    assert [info.epoch for info in await log.epochs()] == [first, second.epoch]
    assert log.epoch == second.epoch


async def test_of_two_that_rotate_at_once_one_does(log: Log) -> None:
    first = log.epoch
    results = await asyncio.gather(
        *(log.rotate_epoch(first, lost=None, reason=f"{number}") for number in range(2)),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["EpochInfo", "EpochMoved"]
    assert len(await log.epochs()) == 2


async def test_readers_may_cross_to_the_next_epoch_from_another_than_the_one_that_ended(log: Log) -> None:
    ended = log.epoch
    info = await log.rotate_epoch(ended, prev_epoch="theirs", lost=(3, 4), reason="adopted")
    assert (info.prev_epoch, info.lost) == ("theirs", (3, 4))
    assert [each.epoch for each in await log.epochs()] == [ended, info.epoch]


async def test_an_epoch_that_the_journal_does_not_have_follows_nothing(log: Log) -> None:
    with pytest.raises(ValueError, match="no epoch of ours"):
        await log.link_epoch("no epoch of ours", prev_epoch=None, lost=None)
