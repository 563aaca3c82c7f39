"""The contract of every journal, by role. Each implementation is a parameter; what is said here holds for all of them.

A test takes the roles that it speaks of, so that what stands behind one of them alone can be held to that part.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from migctl.events import Event, Position, make_event
from migctl.journal import (
    Appended,
    Conflict,
    DeadLetter,
    DeadLetters,
    EpochMoved,
    Journal,
    JournalUnavailable,
    Log,
    Places,
    Room,
)
from migctl.journal.sqlite import SqliteJournal

MOMENT = datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)


def event(
    number: int = 0, *, id: str | None = None, data: bytes | None = None, timestamp: datetime | None = MOMENT
) -> Event:
    return make_event(
        id=id,
        event_type="cache_metrics",
        timestamp=timestamp,
        source="host-1",
        data=data or b'{"number": %d, "spelled": 1.10}' % number,
        arrived=MOMENT,
        default_source="host-1",
    )


Open = Callable[[], Awaitable[Journal]]


@pytest.fixture(params=["sqlite"])
def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same journal, each time anew."""
    assert request.param == "sqlite"
    return lambda: SqliteJournal.open(tmp_path / "journal.db")


@pytest.fixture
async def journal(open_again: Open) -> AsyncIterator[Journal]:
    opened = await open_again()
    yield opened
    await opened.aclose()


@pytest.fixture
def log(journal: Journal) -> Log:
    return journal


@pytest.fixture
def places(journal: Journal) -> Places:
    return journal


@pytest.fixture
def room(journal: Journal) -> Room:
    return journal


@pytest.fixture
def dead_letters(journal: Journal) -> DeadLetters:
    return journal


# Log: the events.


async def ids(log: Log, after: int = 0) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    while entries := await log.read(after, limit=7):
        found += [(entry.seq, entry.event.id) for entry in entries]
        after = entries[-1].seq
    return found


async def test_an_empty_journal_has_head_0_and_tail_1(log: Log) -> None:
    assert (log.head, log.tail) == (0, 1)
    assert await log.read(0) == []


async def test_what_was_appended_is_read_back_byte_for_byte(log: Log) -> None:
    sent = [
        event(1),
        event(2, data=b'{"b":1,\n "a":2,"a":3,"n":1e400000,"s":"\\ud800\\u0000"}'),
        event(3, id="order 17"),
    ]
    answer = await log.append(sent)
    assert (answer.accepted, answer.duplicates, answer.first_seq, answer.last_seq) == (3, 0, 1, 3)
    entries = await log.read(0)
    assert [entry.event for entry in entries] == sent
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert {entry.epoch for entry in entries} == {log.epoch}
    assert entries[2].event.source_id == "order 17"


async def test_seqs_are_contiguous_whoever_appends_at_once(log: Log) -> None:
    async def produce(producer: int) -> list[Appended]:
        return [await log.append([event(i) for i in range(1 + (producer + n) % 4)]) for n in range(20)]

    answers = [answer for batch in await asyncio.gather(*(produce(p) for p in range(25))) for answer in batch]
    total = sum(answer.accepted for answer in answers)
    assert log.head == total
    assert [seq for seq, _ in await ids(log)] == list(range(1, total + 1))
    taken = sorted(seq for answer in answers for seq in answer.seqs)
    assert taken == list(range(1, total + 1))
    for answer in answers:
        assert answer.first_seq is not None
        assert list(answer.seqs) == list(range(answer.first_seq, answer.first_seq + answer.accepted))


async def test_the_same_event_again_is_a_duplicate_with_the_seq_it_had(log: Log) -> None:
    first, second = event(1), event(2)
    await log.append([first])
    answer = await log.append([first, second, second])
    assert (answer.accepted, answer.duplicates, answer.first_seq, answer.last_seq) == (1, 2, 2, 2)
    assert list(answer.seqs) == [1, 2, 2]
    assert await ids(log) == [(1, first.id), (2, second.id)]


async def test_only_duplicates_give_no_first_and_last_seq(log: Log) -> None:
    one = event(1)
    await log.append([one])
    answer = await log.append([one])
    assert (answer.accepted, answer.duplicates, answer.first_seq, answer.last_seq) == (0, 1, None, None)
    assert log.head == 1


async def test_another_spelling_of_the_same_body_is_a_duplicate(log: Log) -> None:
    await log.append([event(id="a", data=b'{"x": 1.0, "y": 2}')])
    answer = await log.append([event(id="a", data=b'{"y":2,"x":1}')])
    assert answer.duplicates == 1


async def test_the_same_id_with_another_body_fails_alone_and_stores_nothing_of_its_request(
    log: Log,
) -> None:
    await log.append([event(id="a", data=b'{"x": 1}')])
    fresh = event(7)
    bad = log.append([fresh, event(id="a", data=b'{"x": 2}')])
    good = log.append([event(8)])
    results = await asyncio.gather(bad, good, return_exceptions=True)
    assert isinstance(results[0], Conflict)
    assert [index for index, _ in results[0].conflicts] == [1]
    assert isinstance(results[1], Appended)
    assert log.head == 2
    assert await log.get(fresh.id) is None


async def test_an_event_without_a_time_is_the_same_event_when_it_is_sent_again_later(
    log: Log,
) -> None:
    def at(second: int) -> Event:
        return make_event(
            id="a",
            event_type="t",
            timestamp=None,
            source=None,
            data=b"{}",
            arrived=MOMENT.replace(second=second),
            default_source="host-1",
        )

    await log.append([at(1)])
    assert (await log.append([at(2)])).duplicates == 1


async def test_a_follower_gets_every_entry_once_and_in_order(log: Log) -> None:
    seen: list[int] = []

    async def follow() -> None:
        async for entries in log.follow(0):
            seen.extend(entry.seq for entry in entries)
            if len(seen) >= 300:
                return

    follower = asyncio.create_task(follow())
    for start in range(0, 300, 10):
        await log.append([event(start + n) for n in range(10)])
    await asyncio.wait_for(follower, 10)
    assert seen == list(range(1, 301))


async def test_a_read_is_bounded_by_count_and_bytes_but_never_empty(log: Log) -> None:
    await log.append([event(n, data=b'{"pad":"%s"}' % (b"x" * 1000)) for n in range(10)])
    assert len(await log.read(0, limit=3)) == 3
    assert len(await log.read(0, max_bytes=2500)) == 2
    assert len(await log.read(0, max_bytes=1)) == 1
    assert [entry.seq for entry in await log.read(7)] == [8, 9, 10]


# Log: the epochs.


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


# Places.


async def test_a_cursor_survives_and_never_goes_back(log: Log, places: Places) -> None:
    assert await places.cursor("relay") is None
    await places.move_cursor("relay", Position(log.epoch, 5))
    with pytest.raises(ValueError, match="before"):
        await places.move_cursor("relay", Position(log.epoch, 4))
    await log.append([event(1)])
    assert await places.cursor("relay") == Position(log.epoch, 5)


async def test_an_offset_is_stored_with_its_events(log: Log, places: Places) -> None:
    assert await places.offset("events.ndjson") is None
    await log.append([event(1)], offset=("events.ndjson", 120))
    await log.append([], offset=("events.ndjson", 150))
    assert await places.offset("events.ndjson") == 150
    with pytest.raises(Conflict):
        await log.append(
            [event(1), event(id="a"), event(id="a", data=b'{"z":0}')], offset=("events.ndjson", 200)
        )
    assert await places.offset("events.ndjson") == 150


async def test_a_note_is_replaced_and_never_touches_the_identity(log: Log, places: Places) -> None:
    assert await places.note("writer_id") is None
    await places.set_note("writer_id", "somebody else")
    await places.set_note("writer_id", "a third")
    assert await places.note("writer_id") == "a third"
    assert log.writer_id != "a third"


# Dead letters.


async def test_a_dead_letter_is_recorded_once(dead_letters: DeadLetters) -> None:
    letter = DeadLetter(
        Position("an epoch", 3), event().id, "22P05", "unsupported Unicode escape sequence", MOMENT
    )
    assert await dead_letters.add_dead_letter(letter)
    assert not await dead_letters.add_dead_letter(letter)
    assert await dead_letters.dead_letters() == [letter]
    assert await dead_letters.count_dead_letters() == (1, {"22P05": 1})


async def test_a_settled_dead_letter_is_kept_and_says_how_and_when(dead_letters: DeadLetters) -> None:
    retried, renewed = (
        DeadLetter(Position("an epoch", seq), event().id, "23514", "no", MOMENT + timedelta(seconds=seq))
        for seq in (1, 2)
    )
    for letter in (retried, renewed):
        await dead_letters.add_dead_letter(letter)
    await dead_letters.settle_dead_letter(renewed.position, "renewed", MOMENT, new_id="n")
    await dead_letters.settle_dead_letter(retried.position, "retried", MOMENT)
    assert await dead_letters.dead_letters() == [
        replace(renewed, outcome="renewed", settled_at=MOMENT, new_id="n"),
        replace(retried, outcome="retried", settled_at=MOMENT),
    ]
    assert await dead_letters.count_dead_letters() == (0, {"23514": 2})
    await dead_letters.settle_dead_letter(
        retried.position, "renewed", MOMENT + timedelta(hours=1), new_id="m"
    )
    assert (await dead_letters.dead_letters())[1] == replace(
        retried, outcome="retried", settled_at=MOMENT, new_id="m"
    )


async def test_what_is_settled_of_a_dead_letter_that_is_not_there_is_nothing(
    dead_letters: DeadLetters,
) -> None:
    await dead_letters.settle_dead_letter(Position("an epoch", 9), "retried", MOMENT)
    assert await dead_letters.dead_letters() == []


# Room.


async def test_a_journal_that_takes_events_is_neither_full_nor_stalled(log: Log, room: Room) -> None:
    before = room.commit_seconds.buckets()[-1][1]
    await log.append([event(1)])
    assert (room.full, room.stalled) == (None, None)
    assert room.commit_seconds.buckets()[-1][1] > before
    assert room.size_bytes > 0
    assert room.location


async def test_nobody_who_waits_for_a_failure_and_leaves_ends_the_journal(log: Log, room: Room) -> None:
    waiting = [asyncio.ensure_future(room.failure()) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait({waiting[0]})
    assert (await asyncio.wait_for(log.append([event(1)]), 10)).last_seq == 1
    assert not waiting[1].done()
    waiting[1].cancel()


# The whole.


async def test_a_journal_has_all_the_roles(journal: Journal) -> None:
    for role in (Log, Places, DeadLetters, Room, Journal):
        assert isinstance(journal, role)


async def test_what_it_has_outlives_who_wrote_it(open_again: Open) -> None:
    sent = [event(n) for n in range(3)]
    first = await open_again()
    identity = (first.epoch, first.writer_id)
    await first.append(sent, offset=("events.ndjson", 120))
    await first.move_cursor("relay", Position(first.epoch, 1))
    await first.set_note("key", "text")
    await first.add_dead_letter(DeadLetter(Position(first.epoch, 2), sent[1].id, "22P05", "no", MOMENT))
    await first.aclose()
    await first.aclose()
    second = await open_again()
    try:
        assert (second.epoch, second.writer_id) == identity
        assert (second.head, second.tail) == (3, 1)
        assert [entry.event for entry in await second.read(0)] == sent
        assert await second.cursor("relay") == Position(second.epoch, 1)
        assert (await second.offset("events.ndjson"), await second.note("key")) == (120, "text")
        assert await second.count_dead_letters() == (1, {"22P05": 1})
        assert (await second.append([event(9)])).first_seq == 4
        assert [info.epoch for info in await second.epochs()] == [second.epoch]
    finally:
        await second.aclose()


async def test_nothing_is_taken_once_it_is_closed(open_again: Open) -> None:
    journal = await open_again()
    await journal.aclose()
    with pytest.raises(JournalUnavailable, match="closed"):
        await journal.append([event(1)])
    with pytest.raises(JournalUnavailable, match="closed"):
        await journal.move_cursor("relay", Position(journal.epoch, 0))
