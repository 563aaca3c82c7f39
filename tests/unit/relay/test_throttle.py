"""A throttle outlives a restart, and is lifted whatever its keeping comes to."""

from __future__ import annotations

import asyncio
from pathlib import Path

from migctl.delivery.throttle import Throttle
from migctl.journal.sqlite import SqliteJournal


async def test_a_restart_does_not_lift_it(tmp_path: Path) -> None:
    journal = await SqliteJournal.open(tmp_path / "journal.db")
    throttle = Throttle(journal)
    await throttle.hold("kim", "vacuum")
    next_life = Throttle(journal)
    await next_life.load()
    assert next_life.held == throttle.held
    await next_life.lift("kim", "")
    third = Throttle(journal)
    await third.load()
    assert third.held is None
    await journal.aclose()


async def test_it_is_lifted_though_that_can_not_be_kept(tmp_path: Path) -> None:
    journal = await SqliteJournal.open(tmp_path / "other.db")
    throttle = Throttle(journal)
    await throttle.hold("kim", "vacuum")
    await journal.aclose()  # as a disk that takes nothing more
    changed = await throttle.lift("kim", "")
    assert throttle.held is None
    assert changed.unkept


async def test_who_waits_goes_on_when_it_is_lifted_and_not_when_another_holds_it(tmp_path: Path) -> None:
    journal = await SqliteJournal.open(tmp_path / "journal.db")
    throttle = Throttle(journal)
    await throttle.until_lifted()
    await throttle.hold("kim", "vacuum")
    waiting = asyncio.ensure_future(throttle.until_lifted())
    second = await throttle.hold("lee", "still")
    assert second.before is not None and second.before.by == "kim"
    assert not waiting.done()
    await throttle.lift("lee", "")
    await waiting
    await journal.aclose()
