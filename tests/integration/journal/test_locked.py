"""Another process locks the journal's file: a wait, and no failure of the disk."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from pathlib import Path

import httpx
import pytest

from migctl.events import Position
from migctl.journal import JournalStalled
from migctl.journal.sqlite import SqliteJournal
from migctl.journal.sqlite.layout import Layout
from migctl.journal.sqlite.parts import Failure
from migctl.journal.sqlite.reader import Reader
from migctl.journal.sqlite.retention import Keep
from tests.kit import journals
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.locking import ALONE, locked
from tests.kit.serve_process import serving_process

SOON = Keep(hours=0.0, min_events=0, max_bytes=1 << 30, check_every_s=0.02)


async def test_events_are_refused_with_who_locks_the_file_and_taken_once_it_is_free(path: Path) -> None:
    journal = await SqliteJournal.open(path, lock_wait_s=0.1)
    sent = [event() for _ in range(3)]
    await journal.append(sent[:1])
    with locked(path) as lock:
        for _ in range(3):
            with pytest.raises(JournalStalled, match=rf"locked: process {lock.pid} \(python") as refused:
                await journal.append(sent[1:2])
            assert refused.value.exit_code == 3
        assert journal.stalled == refused.value.what
        assert [entry.event for entry in await journal.read(0)] == sent[:1]
        assert await journal.get(sent[0].id) is not None
        lock.let_go()
    assert (await journal.append(sent[1:])).seqs == range(2, 4)
    assert journal.stalled is None
    await journal.aclose()
    assert [(seq, id_) for _, seq, id_ in journals.seen_in(path)] == [
        (seq, each.id) for seq, each in enumerate(sent, 1)
    ]


async def test_events_that_wait_for_a_lock_that_is_soon_gone_are_taken(path: Path) -> None:
    journal = await SqliteJournal.open(path, lock_wait_s=20.0)
    with locked(path) as lock:
        waiting = [asyncio.create_task(journal.append([event()])) for _ in range(5)]
        await asyncio.sleep(0)
        lock.let_go()
        answers = [await task for task in waiting]
    assert sorted(answer.last_seq or 0 for answer in answers) == [1, 2, 3, 4, 5]
    await journal.aclose()


async def test_what_is_ours_to_write_waits_as_long_as_the_lock_is_held(path: Path) -> None:
    journal = await SqliteJournal.open(path, lock_wait_s=0.02)
    await journal.append([event() for _ in range(4)])
    first = journal.epoch
    with locked(path) as lock:
        ours = [
            asyncio.create_task(journal.move_cursor("relay", Position(first, 2))),
            asyncio.create_task(journal.set_note("key", "text")),
            asyncio.create_task(journal.rotate_epoch(first, lost=None, reason="an operator wanted it")),
        ]
        await until(lambda: journal.stalled is not None)
        assert not any(task.done() for task in ours)
        lock.let_go()
        await asyncio.gather(*ours)
    assert await journal.cursor("relay") == Position(first, 2)
    assert await journal.note("key") == "text"
    assert len(await journal.epochs()) == 2
    await journal.aclose()


async def test_housekeeping_goes_on_after_a_lock(path: Path) -> None:
    journal = await SqliteJournal.open(path, keep=SOON, lock_wait_s=0.02)
    failing = asyncio.ensure_future(journal.failure())
    with locked(path) as lock:
        await until(lambda: journal.stalled is not None)
        lock.let_go()
    await journal.append([event() for _ in range(10)])
    await until(lambda: journal.tail == 11)
    assert not failing.done()
    failing.cancel()
    await journal.aclose()


async def test_events_that_could_not_be_taken_first_are_unconfirmed_all_the_same(path: Path) -> None:
    journal = await SqliteJournal.open(path, lock_wait_s=0.02)
    with locked(path) as lock:
        with pytest.raises(JournalStalled):
            await journal.append([event()])
        lock.let_go()
    await journal.append([event()])
    assert await journal.unconfirmed() == Position(journal.epoch, 0)
    await journal.aclose()


async def test_a_read_that_a_lock_holds_up_is_tried_again(path: Path) -> None:
    journal = await SqliteJournal.open(path)
    other = sqlite3.connect(path, isolation_level=None, timeout=0.0, check_same_thread=False)
    reader = Reader(Layout.of(path), failure := Failure(), lock_wait_s=0.0)
    with locked(path) as lock:

        def asks_for_what_is_locked(_: sqlite3.Connection) -> str:
            # Readers are hardly ever locked out; this is the error that they get then.
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
            return "read"

        reading = asyncio.create_task(reader.read(asks_for_what_is_locked))
        assert await asyncio.wait([reading], timeout=0.3) == (set(), {reading})
        lock.let_go()
        assert await reading == "read"
    assert failure.cause is None
    await reader.aclose()
    other.close()
    await journal.aclose()


async def test_a_journal_that_is_locked_at_the_start_is_waited_for_aloud(path: Path) -> None:
    await (await SqliteJournal.open(path)).aclose()
    said: list[str] = []
    with locked(path, ALONE) as lock:
        opening = asyncio.create_task(SqliteJournal.open(path, notify=said.append))
        await until(lambda: said)
        assert f"process {lock.pid} (python" in said[0]
        assert not opening.done()
        lock.let_go()
        journal = await opening
    assert (await journal.append([event()])).last_seq == 1
    assert len(said) == 1
    await journal.aclose()


async def test_a_journal_that_stays_locked_at_the_start_is_given_up_with_who_holds_it(path: Path) -> None:
    await (await SqliteJournal.open(path)).aclose()
    with locked(path, ALONE) as lock:
        with pytest.raises(JournalStalled, match=f"process {lock.pid} ") as refused:
            await SqliteJournal.open(path, open_wait_s=0.2)
        assert refused.value.exit_code == 3
        lock.let_go()
    await (await SqliteJournal.open(path)).aclose()


@pytest.mark.slow
async def test_serve_answers_503_while_a_backup_locks_its_journal_and_takes_events_again(
    tmp_path: Path,
) -> None:
    body = [{"id": "a", "event_type": "t", "data": {}}]
    with serving_process(tmp_path, more={"MIGCTL_MODE": "websocket"}) as serve:
        async with httpx.AsyncClient(trust_env=False, timeout=180, base_url=serve.url) as http:
            await serve.post(3)
            with locked(tmp_path / "journal.db") as lock:
                refused = await http.post("/events", json=body)
                assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
                assert f"process {lock.pid} " in refused.text
                ready = await http.get("/readyz")
                assert (ready.status_code, ready.json()["status"]) == (503, "stalled")
                said = (await http.get("/api/status")).json()
                assert said["journal"]["full"] is None
                assert f"process {lock.pid} " in said["journal"]["stalled"]
                (problem,) = [each for each in said["health"]["problems"] if each["part"] == "journal"]
                assert (problem["state"], problem["do"]) == ("stalled", said["journal"]["stalled_do"])
                assert (await http.get("/events")).json()["head"] == 3
                lock.let_go()
            answer = await http.post("/events", json=body)
            assert (answer.status_code, answer.json()["last_seq"]) == (201, 4)
            assert (await http.get("/readyz")).status_code == 200
        serve.send(signal.SIGTERM)
        assert serve.process.wait(60) == 0
    assert [seq for _, seq, _ in journals.seen_in(tmp_path / "journal.db")] == [1, 2, 3, 4]
