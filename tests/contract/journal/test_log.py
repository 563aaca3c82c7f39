"""Log: the events."""

from __future__ import annotations

import asyncio

from migctl.events import Event, make_event
from migctl.journal import (
    Appended,
    Conflict,
    Log,
)
from tests.contract.journal.samples import MOMENT, event, ids


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
