"""Places, dead letters and room; and the journal as a whole."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from migctl.events import Position
from migctl.journal import (
    Bookmark,
    Conflict,
    DeadLetter,
    DeadLetters,
    Journal,
    JournalUnavailable,
    Log,
    Places,
    Room,
)
from tests.contract.journal.conftest import Open
from tests.contract.journal.samples import MOMENT, event

# Places.


async def test_a_cursor_survives_and_never_goes_back(log: Log, places: Places) -> None:
    assert await places.cursor("relay") is None
    await places.move_cursor("relay", Position(log.epoch, 5))
    with pytest.raises(ValueError, match="before"):
        await places.move_cursor("relay", Position(log.epoch, 4))
    await log.append([event(1)])
    assert await places.cursor("relay") == Position(log.epoch, 5)


async def test_a_bookmark_is_stored_with_its_events(log: Log, places: Places) -> None:
    assert await places.bookmark("events.ndjson") is None
    await log.append([event(1)], read=Bookmark("events.ndjson", 120))
    await log.append([], read=(last := Bookmark("events.ndjson", 150, "its inode")))
    assert await places.bookmark("events.ndjson") == last
    with pytest.raises(Conflict):
        await log.append(
            [event(1), event(id="a"), event(id="a", data=b'{"z":0}')], read=Bookmark("events.ndjson", 200)
        )
    assert await places.bookmark("events.ndjson") == last


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


async def test_a_dismissal_says_who_and_why_and_the_first_words_stand(dead_letters: DeadLetters) -> None:
    letter = DeadLetter(Position("an epoch", 3), event().id, "22P05", "no", MOMENT)
    await dead_letters.add_dead_letter(letter)
    for why in ("the first", "the second"):
        await dead_letters.settle_dead_letter(letter.position, "dismissed", MOMENT, by="me", why=why)
    assert await dead_letters.dead_letters() == [
        replace(letter, outcome="dismissed", settled_at=MOMENT, settled_by="me", why="the first")
    ]
    assert (await dead_letters.count_dead_letters())[0] == 0


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
    await first.append(sent, read=Bookmark("events.ndjson", 120))
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
        assert (await second.bookmark("events.ndjson"), await second.note("key")) == (
            Bookmark("events.ndjson", 120),
            "text",
        )
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
