"""The contract of every journal. Each implementation is a parameter; what is said here holds for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from migctl.errors import Refused
from migctl.events import Event, Position, make_event
from migctl.journal import Appended, Conflict, DeadLetter, Journal
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


@pytest.fixture(params=["sqlite"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    assert request.param == "sqlite"
    opened = await SqliteJournal.open(tmp_path / "journal.db")
    yield opened
    await opened.aclose()


async def ids(journal: Journal, after: int = 0) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    while entries := await journal.read(after, limit=7):
        found += [(entry.seq, entry.event.id) for entry in entries]
        after = entries[-1].seq
    return found


async def test_an_empty_journal_has_head_0_and_tail_1(journal: Journal) -> None:
    assert isinstance(journal, Journal)
    assert (journal.head, journal.tail) == (0, 1)
    assert await journal.read(0) == []


async def test_what_was_appended_is_read_back_byte_for_byte(journal: Journal) -> None:
    sent = [
        event(1),
        event(2, data=b'{"b":1,\n "a":2,"a":3,"n":1e400000,"s":"\\ud800\\u0000"}'),
        event(3, id="order 17"),
    ]
    answer = await journal.append(sent)
    assert (answer.accepted, answer.duplicates, answer.first_seq, answer.last_seq) == (3, 0, 1, 3)
    entries = await journal.read(0)
    assert [entry.event for entry in entries] == sent
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert {entry.epoch for entry in entries} == {journal.epoch}
    assert entries[2].event.source_id == "order 17"


async def test_seqs_are_contiguous_whoever_appends_at_once(journal: Journal) -> None:
    async def produce(producer: int) -> list[Appended]:
        return [await journal.append([event(i) for i in range(1 + (producer + n) % 4)]) for n in range(20)]

    answers = [answer for batch in await asyncio.gather(*(produce(p) for p in range(25))) for answer in batch]
    total = sum(answer.accepted for answer in answers)
    assert journal.head == total
    assert [seq for seq, _ in await ids(journal)] == list(range(1, total + 1))
    taken = sorted(seq for answer in answers for seq in answer.seqs)
    assert taken == list(range(1, total + 1))
    for answer in answers:
        assert answer.first_seq is not None
        assert list(answer.seqs) == list(range(answer.first_seq, answer.first_seq + answer.accepted))


async def test_the_same_event_again_is_a_duplicate_with_the_seq_it_had(journal: Journal) -> None:
    first, second = event(1), event(2)
    await journal.append([first])
    answer = await journal.append([first, second, second])
    assert (answer.accepted, answer.duplicates, answer.first_seq, answer.last_seq) == (1, 2, 2, 2)
    assert list(answer.seqs) == [1, 2, 2]
    assert await ids(journal) == [(1, first.id), (2, second.id)]


async def test_only_duplicates_give_no_first_and_last_seq(journal: Journal) -> None:
    one = event(1)
    await journal.append([one])
    answer = await journal.append([one])
    assert (answer.accepted, answer.duplicates, answer.first_seq, answer.last_seq) == (0, 1, None, None)
    assert journal.head == 1


async def test_another_spelling_of_the_same_body_is_a_duplicate(journal: Journal) -> None:
    await journal.append([event(id="a", data=b'{"x": 1.0, "y": 2}')])
    answer = await journal.append([event(id="a", data=b'{"y":2,"x":1}')])
    assert answer.duplicates == 1


async def test_the_same_id_with_another_body_fails_alone_and_stores_nothing_of_its_request(
    journal: Journal,
) -> None:
    await journal.append([event(id="a", data=b'{"x": 1}')])
    fresh = event(7)
    bad = journal.append([fresh, event(id="a", data=b'{"x": 2}')])
    good = journal.append([event(8)])
    results = await asyncio.gather(bad, good, return_exceptions=True)
    assert isinstance(results[0], Conflict)
    assert [index for index, _ in results[0].conflicts] == [1]
    assert isinstance(results[1], Appended)
    assert journal.head == 2
    assert await journal.get(fresh.id) is None


async def test_an_event_without_a_time_is_the_same_event_when_it_is_sent_again_later(
    journal: Journal,
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

    await journal.append([at(1)])
    assert (await journal.append([at(2)])).duplicates == 1


async def test_a_follower_gets_every_entry_once_and_in_order(journal: Journal) -> None:
    seen: list[int] = []

    async def follow() -> None:
        async for entries in journal.follow(0):
            seen.extend(entry.seq for entry in entries)
            if len(seen) >= 300:
                return

    follower = asyncio.create_task(follow())
    for start in range(0, 300, 10):
        await journal.append([event(start + n) for n in range(10)])
    await asyncio.wait_for(follower, 10)
    assert seen == list(range(1, 301))


async def test_a_read_is_bounded_by_count_and_bytes_but_never_empty(journal: Journal) -> None:
    await journal.append([event(n, data=b'{"pad":"%s"}' % (b"x" * 1000)) for n in range(10)])
    assert len(await journal.read(0, limit=3)) == 3
    assert len(await journal.read(0, max_bytes=2500)) == 2
    assert len(await journal.read(0, max_bytes=1)) == 1
    assert [entry.seq for entry in await journal.read(7)] == [8, 9, 10]


async def test_a_cursor_survives_and_never_goes_back(journal: Journal) -> None:
    assert await journal.cursor("relay") is None
    await journal.move_cursor("relay", Position(journal.epoch, 5))
    with pytest.raises(ValueError, match="before"):
        await journal.move_cursor("relay", Position(journal.epoch, 4))
    await journal.append([event(1)])
    assert await journal.cursor("relay") == Position(journal.epoch, 5)


async def test_an_offset_is_stored_with_its_events(journal: Journal) -> None:
    assert await journal.offset("events.ndjson") is None
    await journal.append([event(1)], offset=("events.ndjson", 120))
    await journal.append([], offset=("events.ndjson", 150))
    assert await journal.offset("events.ndjson") == 150
    with pytest.raises(Conflict):
        await journal.append(
            [event(1), event(id="a"), event(id="a", data=b'{"z":0}')], offset=("events.ndjson", 200)
        )
    assert await journal.offset("events.ndjson") == 150


async def test_a_dead_letter_is_recorded_once(journal: Journal) -> None:
    letter = DeadLetter(
        Position(journal.epoch, 3), event().id, "22P05", "unsupported Unicode escape sequence", MOMENT
    )
    assert await journal.add_dead_letter(letter)
    assert not await journal.add_dead_letter(letter)
    assert await journal.dead_letters() == [letter]
    assert await journal.count_dead_letters() == (1, {"22P05": 1})


async def test_a_settled_dead_letter_is_kept_and_says_how_and_when(journal: Journal) -> None:
    retried, renewed = (
        DeadLetter(Position(journal.epoch, seq), event().id, "23514", "no", MOMENT + timedelta(seconds=seq))
        for seq in (1, 2)
    )
    for letter in (retried, renewed):
        await journal.add_dead_letter(letter)
    await journal.settle_dead_letter(renewed.position, "renewed", MOMENT, new_id="n")
    await journal.settle_dead_letter(retried.position, "retried", MOMENT)
    assert await journal.dead_letters() == [
        replace(renewed, outcome="renewed", settled_at=MOMENT, new_id="n"),
        replace(retried, outcome="retried", settled_at=MOMENT),
    ]
    assert await journal.count_dead_letters() == (0, {"23514": 2})
    await journal.settle_dead_letter(retried.position, "renewed", MOMENT + timedelta(hours=1), new_id="m")
    assert (await journal.dead_letters())[1] == replace(
        retried, outcome="retried", settled_at=MOMENT, new_id="m"
    )


async def test_a_note_is_replaced_and_never_touches_the_identity(journal: Journal) -> None:
    assert await journal.note("writer_id") is None
    await journal.set_note("writer_id", "somebody else")
    await journal.set_note("writer_id", "a third")
    assert await journal.note("writer_id") == "a third"
    assert journal.writer_id != "a third"


async def test_a_second_writer_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    first = await SqliteJournal.open(path)
    with pytest.raises(Refused, match=r"process \d+") as refused:
        await SqliteJournal.open(path)
    assert refused.value.exit_code == 4
    await first.aclose()
    second = await SqliteJournal.open(path)
    await second.aclose()


async def reopened(path: Path, sent: Sequence[Event]) -> SqliteJournal:
    journal = await SqliteJournal.open(path)
    await journal.append(sent)
    await journal.move_cursor("relay", Position(journal.epoch, 1))
    await journal.aclose()
    return await SqliteJournal.open(path)


async def test_epoch_writer_seq_and_cursor_outlive_the_process(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    sent = [event(n) for n in range(3)]
    first = await SqliteJournal.open(path)
    identity = (first.epoch, first.writer_id)
    await first.aclose()
    journal = await reopened(path, sent)
    try:
        assert (journal.epoch, journal.writer_id) == identity
        assert (journal.head, journal.tail) == (3, 1)
        assert [entry.event for entry in await journal.read(0)] == sent
        assert await journal.cursor("relay") == Position(journal.epoch, 1)
        assert (await journal.append([event(9)])).first_seq == 4
        assert [info.epoch for info in await journal.epochs()] == [journal.epoch]
    finally:
        await journal.aclose()


async def test_a_follower_goes_from_the_end_of_an_epoch_to_the_first_seq_of_the_next(
    journal: Journal,
) -> None:
    first = journal.epoch
    seen: list[tuple[str, int]] = []

    async def follow() -> None:
        async for entries in journal.follow(0):
            seen.extend((entry.epoch, entry.seq) for entry in entries)
            if len(seen) == 7:
                return

    await journal.append([event(n) for n in range(3)])
    follower = asyncio.create_task(follow())
    waiting = asyncio.create_task(journal.wait(3))
    info = await journal.rotate_epoch(first, lost=(4, 9), reason="an older copy was put back")
    assert await asyncio.wait_for(waiting, 10) == 0
    answer = await journal.append([event(n) for n in range(4)])
    await asyncio.wait_for(follower, 10)
    assert seen == [(first, 1), (first, 2), (first, 3), *((info.epoch, seq) for seq in (1, 2, 3, 4))]
    assert (journal.epoch, journal.head, journal.tail) == (info.epoch, 4, 1)
    assert (answer.epoch, answer.first_seq) == (info.epoch, 1)
    epochs = await journal.epochs()
    assert [(each.prev_epoch, each.lost, each.head) for each in epochs] == [
        (None, None, 3),
        (first, (4, 9), 4),
    ]
    assert [entry.seq for entry in await journal.read(1, epoch=first)] == [2, 3]
    assert await journal.read(0, epoch="no epoch of ours") == []


async def test_what_a_new_epoch_does_not_let_the_old_one_keep_is_moved_to_it_in_order(
    journal: Journal,
) -> None:
    first = journal.epoch
    sent = [event(n) for n in range(5)]
    await journal.append(sent)
    info = await journal.rotate_epoch(first, lost=None, reason="another history", keep_to={first: 2})
    assert [entry.event.id for entry in await journal.read(0, epoch=first)] == [each.id for each in sent[:2]]
    assert await ids(journal) == [(seq, each.id) for seq, each in enumerate(sent[2:], 1)]
    again = await journal.append([sent[4], event(9)])
    assert (again.accepted, again.duplicates, again.first_seq) == (1, 1, 4)
    assert info.prev_epoch == first


async def test_what_several_epochs_may_not_keep_is_moved_to_one_in_order(journal: Journal) -> None:
    first = journal.epoch
    sent = [event(n) for n in range(7)]
    await journal.append(sent[:4])
    second = await journal.rotate_epoch(first, lost=None, reason="an operator wanted it")
    await journal.append(sent[4:])
    await journal.rotate_epoch(
        second.epoch, lost=None, reason="another history", keep_to={first: 3, second.epoch: 1}
    )
    assert [entry.event.id for entry in await journal.read(0, epoch=first)] == [each.id for each in sent[:3]]
    assert [entry.event.id for entry in await journal.read(0, epoch=second.epoch)] == [sent[4].id]
    assert await ids(journal) == [(1, sent[3].id), (2, sent[5].id), (3, sent[6].id)]
    assert [info.head for info in await journal.epochs()] == [3, 1, 3]


async def test_what_was_taken_without_asking_the_table_is_remembered_until_it_was_asked(
    journal: Journal,
) -> None:
    first = journal.epoch
    assert await journal.unconfirmed() is None
    await journal.append([event(1)])
    await journal.append([event(2)])
    assert await journal.unconfirmed() == Position(first, 0)
    await journal.confirm()
    await journal.append([event(3)])
    assert await journal.unconfirmed() is None


async def test_what_an_epoch_follows_can_be_settled_later(journal: Journal) -> None:
    await journal.append([event(1)])
    await journal.link_epoch(journal.epoch, prev_epoch="theirs", lost=(3, 4), reason="adopted")
    (info,) = await journal.epochs()
    assert (info.prev_epoch, info.lost, info.head, info.reason) == ("theirs", (3, 4), 1, "adopted")


async def test_a_duplicate_from_before_the_epoch_is_told_with_the_epoch_that_it_is_in(
    journal: Journal,
) -> None:
    first = journal.epoch
    old = [event() for _ in range(3)]
    await journal.append(old)
    await journal.rotate_epoch(first, lost=None, reason="an older copy was put back")
    new = event()
    answer = await journal.append([new, old[2], new, old[0]])
    assert answer.positions() == [
        Position(journal.epoch, 1),
        Position(first, 3),
        Position(journal.epoch, 1),
        Position(first, 1),
    ]
    assert answer.is_new() == [True, False, False, False]
    assert (answer.accepted, answer.duplicates) == (1, 3)
