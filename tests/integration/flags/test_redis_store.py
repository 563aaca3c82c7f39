from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from migctl.errors import Systemic, Transient
from migctl.flags.redis_store import RedisStore
from migctl.flags.snapshot import Brake, Row, Snapshot
from migctl.stack.valkey import Valkey
from tests.kit.conditions import PATIENCE_S, until
from tests.unit.flags.test_shares import document, shares

BRAKE = Brake(id="b1", flag="transport", max_percent=10)


def row(n: int, percent: float = 50, *, row_id: str = "", lifts: tuple[str, ...] = ()) -> Row:
    return Row(n=n, id=row_id or f"r{n}", document=document(shares(percent)), lifts=lifts)


@asynccontextmanager
async def store(url: str, target: str = "t") -> AsyncIterator[tuple[RedisStore, list[Snapshot]]]:
    heard: list[Snapshot] = []

    async def hear(snapshot: Snapshot) -> None:
        heard.append(snapshot)

    one = RedisStore(url, target, hear)
    try:
        yield one, heard
    finally:
        await one.aclose()


async def test_what_is_handed_on_is_merged_and_takes_nothing_away(valkey: Valkey) -> None:
    async with store(valkey.url) as (one, _):
        new = Snapshot(target="t").with_row(row(7)).with_brake(BRAKE)
        await one.merge(new)
        await one.merge(Snapshot(target="t").with_row(row(3)))
        await one.merge(Snapshot(target="t"))
        assert await one.read() == new
        lifted = new.with_row(row(8, lifts=("b1",)))
        await one.merge(lifted)
        assert await one.read() == lifted
        assert (await one.read()).live_brakes() == []
        twice = Snapshot(target="t").with_row(row(8, 20, row_id="other"))
        await one.merge(twice)
        assert len((await one.read()).rows) == 2


async def test_a_change_is_pushed_at_once(valkey: Valkey) -> None:
    async with store(valkey.url) as (one, heard), store(valkey.url) as (other, _):
        running = asyncio.create_task(one.run())
        await until(lambda: one.connected)
        await other.merge(Snapshot(target="t").with_brake(BRAKE))
        await until(lambda: bool(heard) and heard[-1].live_brakes() == [BRAKE])
        running.cancel()
        await asyncio.wait([running])


async def test_an_outage_is_survived_and_what_was_missed_is_read(valkey: Valkey, tmp_path: Path) -> None:
    async with store(valkey.url) as (one, heard), store(valkey.url) as (other, _):
        running = asyncio.create_task(one.run())
        await until(lambda: one.connected)
        valkey.stop()
        await until(lambda: not one.connected)
        assert one.connection.reason is not None
        with pytest.raises(Transient):
            await other.merge(Snapshot(target="t").with_brake(BRAKE))
        valkey.begin()
        valkey.wait_ready()
        await other.merge(Snapshot(target="t").with_brake(BRAKE))
        await until(lambda: one.connected and heard[-1].live_brakes() == [BRAKE])
        running.cancel()
        await asyncio.wait([running])


async def test_two_targets_share_a_redis_and_a_foreign_value_is_passed_over(valkey: Valkey) -> None:
    async with store(valkey.url, "a") as (one, _), store(valkey.url, "b") as (other, _):
        await one.merge(Snapshot(target="a").with_brake(BRAKE))
        assert await other.read() == Snapshot(target="b")
        raw = Redis.from_url(valkey.url)
        (key,) = await raw.keys("*")
        await raw.hset(key, "target", "c")
        await raw.aclose()
        assert await one.read() == Snapshot(target="a")
        with pytest.raises(Systemic, match="OTHERTARGET"):
            await one.merge(Snapshot(target="a").with_brake(BRAKE))


async def test_what_can_not_be_read_is_passed_over(valkey: Valkey) -> None:
    async with store(valkey.url) as (one, _):
        await one.merge(Snapshot(target="t").with_brake(BRAKE).with_row(row(2)))
        raw = Redis.from_url(valkey.url)
        (key,) = await raw.keys("*")
        await raw.hset(key, mapping={"row:x": "{", "brake:y": "[]", "lift:z": "soon", "more": "1"})
        await raw.aclose()
        assert await one.read() == Snapshot(target="t").with_brake(BRAKE).with_row(row(2))


async def test_a_wrong_password_is_said(valkey: Valkey) -> None:
    async with store(valkey.url.replace(":", ":x", 2).replace("redis:x", "redis:")) as (one, _):
        with pytest.raises((Systemic, Transient)):
            await one.read()


@pytest.mark.parametrize("step", range(0, 120, 4))
async def test_it_ends_whenever_it_is_cancelled(valkey: Valkey, step: int) -> None:
    """Before Python 3.12 `asyncio.wait_for`, by which its client sends, loses a cancel that comes as it ends."""
    async with store(valkey.url) as (one, _):
        for ticks in range(step, step + 4):
            running = asyncio.create_task(one.run())
            for _ in range(ticks):
                await asyncio.sleep(0)
            running.cancel()
            done, _ = await asyncio.wait([running], timeout=PATIENCE_S)
            assert done, f"cancelled after {ticks} turns, it goes on"
