"""What becomes of a dead letter, on answers of the target that a real one won't give on demand."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import respx

from migctl.clock import now
from migctl.config import Target
from migctl.delivery.dead_letters import DeadLetters, Tried
from migctl.events import Position, encode_event, format_time
from migctl.events.ids import id_of_renewal
from migctl.journal import DeadLetter
from migctl.journal.sqlite import SqliteJournal
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
