"""The feed: a source runs between the moments at which it may begin and has to end, and what it fails with is not lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from migctl.journal import Journal
from migctl.journal.sqlite import SqliteJournal
from migctl.runtime.feed import Feed
from tests.kit.served import event


class Endless:
    """Gives one event, and then waits until it is cancelled."""

    def __init__(self) -> None:
        self.began, self.cancelled = asyncio.Event(), False

    async def run(self, journal: Journal) -> None:
        await journal.append([event()])
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    def status(self) -> dict[str, Any]:
        return {}


class Broken(Endless):
    async def run(self, journal: Journal) -> None:
        raise ZeroDivisionError


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Journal]:
    journal = await SqliteJournal.open(folder / "journal.db")
    try:
        yield journal
    finally:
        await journal.aclose()


def gate(*moments: asyncio.Event) -> Any:
    left = list(moments)
    return lambda: left.pop(0).wait()


async def test_without_a_source_the_feed_has_ended(tmp_path: Path) -> None:
    feed = Feed(None)
    async with opened(tmp_path) as journal:
        await feed.run(journal)
    assert feed.ended


async def test_source_begins_when_the_gate_opens_and_is_cancelled_when_it_closes(tmp_path: Path) -> None:
    begin, end, source = asyncio.Event(), asyncio.Event(), Endless()
    feed = Feed(source, gate(begin, end))
    async with opened(tmp_path) as journal, asyncio.timeout(10):
        running = asyncio.create_task(feed.run(journal))
        assert await journal.read(0) == []
        begin.set()
        await source.began.wait()
        assert not feed.ended
        end.set()
        await running
        assert journal.head == 1
    assert feed.ended
    assert source.cancelled


@pytest.mark.parametrize("gated", [False, True])
async def test_what_a_source_fails_with_comes_out(tmp_path: Path, gated: bool) -> None:
    begin = asyncio.Event()
    begin.set()
    feed = Feed(Broken(), gate(begin, asyncio.Event()) if gated else None)
    async with opened(tmp_path) as journal:
        with pytest.raises(ZeroDivisionError):
            await feed.run(journal)
    assert not feed.ended


async def test_a_feed_that_is_cancelled_takes_its_source_along(tmp_path: Path) -> None:
    begin, source = asyncio.Event(), Endless()
    begin.set()
    feed = Feed(source, gate(begin, asyncio.Event()))
    async with opened(tmp_path) as journal, asyncio.timeout(10):
        running = asyncio.create_task(feed.run(journal))
        await source.began.wait()
        running.cancel()
        await asyncio.wait([running])
    assert running.cancelled()
    assert source.cancelled
    assert not feed.ended
