"""What becomes of a dead letter, on answers of the target that a real one won't give on demand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from msgspec.structs import replace

from migctl.clock import now
from migctl.config import Target
from migctl.delivery.dead_letters import DeadLetters, Tried
from migctl.errors import Refused
from migctl.events import Position, encode_event, format_time
from migctl.events.ids import canonical_id, id_of_renewal
from migctl.journal import DeadLetter
from migctl.journal.sqlite import SqliteJournal
from migctl.journal.sqlite.dead_letters import read_dead_letters
from migctl.target import RetryTable
from tests.kit.entries import event

TARGET = Target("http://127.0.0.1:9", service_role_key="key")


async def one_of(journal: SqliteJournal) -> tuple[DeadLetters, DeadLetter]:
    made = event()
    await journal.append([made])
    found = DeadLetters(journal)
    await found.load()
    letter = DeadLetter(Position(journal.epoch, 1), made.id, "22P05", "refused", now())
    assert await found.record(letter)
    return found, letter


async def test_it_is_recorded_once_however_often_its_burial_is_repeated(journal: SqliteJournal) -> None:
    found, letter = await one_of(journal)
    assert await found.record(letter) is False
    assert (found.waiting, found.by_code) == (1, {"22P05": 1})
    assert await found.find(letter.position) == letter
    assert await found.find(Position(journal.epoch, 2)) is None


@pytest.mark.parametrize(
    ("answer", "result", "waiting"),
    [
        (httpx.Response(200, json="written"), "written", 0),
        (httpx.Response(200, json="repeated"), "repeated", 0),
        (httpx.Response(200, json="taken"), "taken", 1),
        (httpx.Response(200, json="no_tombstone"), "gone", 1),
        (httpx.Response(400, json={"code": "22P05", "message": "no"}), "refused", 1),
    ],
)
async def test_each_answer_to_a_retry(
    journal: SqliteJournal, answer: httpx.Response, result: Any, waiting: int
) -> None:
    found, letter = await one_of(journal)
    entry = await journal.get(letter.event_id)
    assert entry is not None
    tombstone = {
        "event": encode_event(entry.event).decode(), "committed_at": format_time(entry.committed_at)
    }  # fmt: skip
    with respx.mock(base_url="http://127.0.0.1:9/rest/v1") as mock:
        mock.get("/monitoring_tombstones").respond(200, json=[tombstone])
        mock.post("/rpc/monitoring_retry").mock(return_value=answer)
        table = RetryTable(TARGET, "public")
        tried = await found.retry(letter, table)
        await table.aclose()
    assert (tried.result, tried.settled, found.waiting) == (result, waiting == 0, waiting)


async def test_a_renewed_one_is_one_event_at_the_end_under_an_id_of_its_own(journal: SqliteJournal) -> None:
    found, letter = await one_of(journal)
    table = RetryTable(TARGET, "public")
    new_id = id_of_renewal(*letter.position)
    for _ in range(2):
        assert await found.renew(letter, table) == Tried("renewed", new_id=new_id, new_seq=2)
    await table.aclose()
    assert (journal.head, found.waiting) == (2, 0)
    entry = await journal.get(new_id)
    assert entry is not None
    assert entry.event.source_id == letter.event_id


async def test_one_that_is_dismissed_waits_no_more_and_will_be_no_row(journal: SqliteJournal) -> None:
    found, letter = await one_of(journal)
    assert await found.dismiss(letter, by="me", why="a NUL") == Tried("dismissed", "a NUL")
    kept = await found.find(letter.position)
    assert kept is not None
    assert (kept.state, kept.settled_by, kept.why, found.waiting) == ("dismissed", "me", "a NUL", 0)
    assert await found.dismiss(kept, by="you", why="again") == Tried("dismissed", "a NUL")
    table = RetryTable(TARGET, "public")  # nobody answers there, and nobody is asked
    with pytest.raises(Refused, match="dismissed by me: a NUL"):
        await found.retry(kept, table)
    assert (await found.renew(kept, table)).new_seq == 2
    await table.aclose()
    renewed = await found.find(letter.position)
    assert renewed is not None
    with pytest.raises(Refused, match="it was renewed"):
        await found.dismiss(renewed, by="me", why="late")


async def test_it_is_named_by_its_seq_and_by_its_producers_own_id(journal: SqliteJournal) -> None:
    own = "dl-1"
    made = replace(event(id=canonical_id(own)[0]), source_id=own)
    await journal.append([made])
    await journal.add_dead_letter(DeadLetter(Position(journal.epoch, 1), made.id, "22P05", "no", now()))
    (kept,) = read_dead_letters(Path(journal.location))
    assert kept.source_id == own
    assert [kept.is_called(name) for name in (own, "1", made.id, made.id.upper(), "2", "dl-2", "")] == [
        True, True, True, True, False, False, False,
    ]  # fmt: skip
