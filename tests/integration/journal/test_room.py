"""Retention beside a real relay, and a journal without room."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from migctl.config import Target
from migctl.events import Event
from migctl.journal import JournalUnavailable
from migctl.journal.model import Bookmark
from migctl.journal.sqlite import SqliteJournal
from migctl.journal.sqlite.retention import Keep
from tests.kit import journals, needs
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.relaying import Tables, relayed, relaying

SOON = Keep(hours=0.0, min_events=20, readers=frozenset({"relay"}), check_every_s=0.02)


def events(count: int, pad: int = 10) -> list[Event]:
    return [event(b'{"pad":"%s"}' % (b"x" * pad)) for _ in range(count)]


async def test_retention_follows_the_relay_and_never_passes_it(
    standin: Target, tables: Tables, path: Path
) -> None:
    journal = await SqliteJournal.open(path, keep=SOON)
    steps: list[int] = []
    await journal.append(events(1500))
    async with relaying(journal, standin) as relay:
        await relayed(journal, relay)
        await until(lambda: journal.tail == 1481)
    await journal.append(events(100))  # nobody relays these
    await until(lambda: journal.tail == 1501)

    async def looked() -> bool:
        steps.append(journal.tail)
        return len(steps) > 20

    await until(looked)
    assert journal.tail == 1501
    assert len(journals.seen_in(path)) == 100
    async with relaying(journal, standin) as relay:
        await relayed(journal, relay)
        await until(lambda: journal.tail == 1581)
    await journal.aclose()
    again = await SqliteJournal.open(path)
    assert (again.tail, again.head) == (1581, 1600)
    assert (await again.append(events(1))).first_seq == 1601
    await again.aclose()
    assert await tables.seqs() == list(range(1, 1601))


async def test_an_id_is_known_as_long_as_its_event_is_held_and_room_is_used_again(path: Path) -> None:
    journal = await SqliteJournal.open(path, keep=Keep(hours=0.0, min_events=20, check_every_s=0.01))
    first = events(200, 3000)
    await journal.append(first)
    await until(lambda: journal.tail == 181)
    again = await journal.append([first[0], first[-1]])
    assert (again.accepted, again.duplicates) == (1, 1)
    size = path.stat().st_size
    for _ in range(10):
        await journal.append(events(150, 3000))
        await until(lambda: journal.tail == journal.head - 19)
    await journal.aclose()
    assert path.stat().st_size < 4 * max(size, 200 * 4096)


async def test_a_journal_at_its_bound_takes_no_events_keeps_what_is_not_relayed_and_recovers(
    standin: Target, path: Path
) -> None:
    keep = Keep(hours=0.0, min_events=0, max_bytes=1 << 20, readers=frozenset({"relay"}), check_every_s=0.02)
    journal = await SqliteJournal.open(path, keep=keep)
    while journal.full is None:
        await journal.append(events(10, 4000))
        await asyncio.sleep(0)
    head = journal.head
    with pytest.raises(JournalUnavailable, match=r"journal\.max_bytes is 1\.0 MiB"):
        await journal.append(events(1))
    assert (journal.tail, journal.head) == (1, head)
    async with relaying(journal, standin) as relay:
        await relayed(journal, relay)
        await until(lambda: journal.full is None)
        assert (await journal.append(events(1))).first_seq == head + 1
    await journal.aclose()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder],
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        needs.right(f"to mount: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def test_a_full_disk_loses_nothing_that_was_acknowledged_and_is_left_once_there_is_room(
    small_disk: Path,
) -> None:
    path = small_disk / "journal.db"
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (2 << 20))
    journal = await SqliteJournal.open(path)
    acknowledged: list[str] = []

    async def produce() -> JournalUnavailable:
        while True:
            batch = events(3, 2000)
            try:
                await journal.append(batch)
            except JournalUnavailable as error:
                return error
            acknowledged.extend(each.id for each in batch)

    refusals = await asyncio.gather(*(produce() for _ in range(8)))
    assert {refusal.what for refusal in refusals} == {"the journal's disk is full"}
    assert acknowledged
    with pytest.raises(JournalUnavailable):
        await journal.append(events(50, 9000))
    ballast.unlink()
    late = events(20, 2000)
    assert (await journal.append(late)).accepted == 20
    await journal.aclose()
    stored = journals.seen_in(path)
    assert [seq for _, seq, _ in stored] == list(range(1, len(stored) + 1))
    assert {id_ for _, _, id_ in stored} == {*acknowledged, *(each.id for each in late)}


async def test_what_is_small_and_fits_says_nothing_of_the_room_for_what_was_refused(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (3 << 20))
    journal = await SqliteJournal.open(small_disk / "journal.db", keep=Keep(check_every_s=0.01))
    refused = events(200, 9000)
    with pytest.raises(JournalUnavailable, match="disk is full"):
        await journal.append(refused)
    for n in range(20):  # each is committed
        await journal.append([], read=Bookmark("a file", n, "a test"))
        assert journal.stalled == "the journal's disk is full"
    assert (await journal.append(events(1))).accepted == 1
    assert journal.stalled is None  # events are taken
    with pytest.raises(JournalUnavailable):
        await journal.append(refused)
    ballast.unlink()
    await until(lambda: journal.stalled is None)  # though nobody sends any
    assert (await journal.append(refused)).accepted == 200
    await journal.aclose()


async def test_an_open_journal_says_in_how_many_hours_it_is_full_at_this_rate(path: Path) -> None:
    journal = await SqliteJournal.open(path, keep=Keep(hours=24.0, max_bytes=4 << 20, check_every_s=0.01))
    await journal.append(events(200, 3000))
    await until(lambda: journal.full_in_hours is not None)
    assert 0 < (journal.full_in_hours or 0) < 1
    assert journal.full is None
    await journal.aclose()
