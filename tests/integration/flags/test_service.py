"""The flags of processes that serve, over a real record and a real Redis, which change, go away, and come back old."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from migctl.clock import mono
from migctl.config import Target
from migctl.flags.disk import ProcessesFile
from migctl.flags.record import Record
from migctl.flags.shares import EVERYTHING
from migctl.flags.snapshot import Brake, Snapshot
from migctl.flags.tiers import PUSHED_EVERY_S
from migctl.stack.standin_process import StandinProcess
from migctl.stack.valkey import Valkey
from tests.kit.conditions import until
from tests.kit.flagging import flagging, on_realtime, write_share

NAME = "local/public"
BRAKE = Brake(id="b1", flag="transport", max_percent=0, split=EVERYTHING, by="ada", reason="it shakes")
HANDED = Snapshot(target=NAME, brakes={"b1": BRAKE})


async def took(condition: Callable[[], bool]) -> float:
    began = mono()
    await until(condition)
    return mono() - began


@pytest.mark.parametrize("with_redis", [False, True])
async def test_a_change_of_the_record_is_seen_by_every_process_within_a_second(
    target: Target, record: Record, valkey: Valkey, tmp_path: Path, with_redis: bool
) -> None:
    url = valkey.url if with_redis else None
    async with (
        flagging(tmp_path / "a", target, redis_url=url) as a,
        flagging(tmp_path / "b", target, redis_url=url) as b,
    ):
        if with_redis:
            await until(lambda: a._is_pushed() and b._is_pushed())
        took_s = []
        for percent in (100, 0, 100):
            row = await write_share(record, percent)
            if with_redis:  # who writes pushes
                await a.hear(Snapshot(target=NAME).with_row(row))
            took_s.append(await took(lambda n=2 * percent: on_realtime(a) == on_realtime(b) == n))  # type: ignore[misc]
        assert min(took_s) < 1.0, "the machine may be busy once, not each time"
        assert {one.id for one in (await record.read()).processes} == {a.registration.id, b.registration.id}
    assert (await record.read()).processes == ()


async def test_redis_lost_means_that_the_record_is_polled_again_at_once(
    target: Target, record: Record, valkey: Valkey, tmp_path: Path
) -> None:
    async with flagging(tmp_path / "a", target, redis_url=valkey.url) as a:
        await until(a._is_pushed)
        valkey.stop()
        await until(lambda: a.status().tiers["redis"].state == "retrying")
        await write_share(record, 100)
        assert await took(lambda: on_realtime(a) == 200) < PUSHED_EVERY_S


@pytest.mark.slow
async def test_a_brake_by_hand_reaches_redis_the_record_and_everybody(
    target: Target, record: Record, valkey: Valkey, tmp_path: Path
) -> None:
    await write_share(record, 100)
    async with (
        flagging(tmp_path / "a", target, redis_url=valkey.url) as a,
        flagging(tmp_path / "b", target, redis_url=valkey.url) as b,
        flagging(tmp_path / "c", target) as c,
    ):
        await until(lambda: a._is_pushed() and b._is_pushed())
        assert (await a.hear(HANDED)).confirmed
        assert on_realtime(a) == 0
        assert await took(lambda: on_realtime(b) == on_realtime(c) == 0) < PUSHED_EVERY_S
        assert b.assign("u").reason == "BRAKED"
        assert [brake.id for brake in (await record.read()).snapshot.live_brakes()] == ["b1"]
        # Only an up row that names it ends it.
        await write_share(record, 100, kind="edit", raises=[])
        await write_share(record, 50, lifts=["b1"])
        await until(lambda: 0 < on_realtime(a) == on_realtime(b) == on_realtime(c) < 200)


async def test_with_both_stores_away_evaluations_go_on_and_a_brake_is_confirmed_and_handed_on_later(
    target: Target, record: Record, process: StandinProcess, valkey: Valkey, tmp_path: Path
) -> None:
    await write_share(record, 100)
    async with flagging(tmp_path / "a", target, redis_url=valkey.url) as a:
        await until(a._is_pushed)
        process.stop()
        valkey.stop()
        await until(lambda: all(tier.state == "retrying" for tier in a.status().tiers.values()))
        assert on_realtime(a) == 200
        said = a.status()
        assert not said.blind
        assert all(tier.reason and tier.do and tier.age_s is not None for tier in said.tiers.values())
        assert (await a.hear(HANDED)).confirmed
        assert on_realtime(a) == 0
        process.start()
        valkey.begin()
        valkey.wait_ready()
        await until(lambda: all(tier.state == "running" for tier in a.status().tiers.values()))
        await until(lambda: not a._record_lacks() and not a._redis_lacks())
        assert "b1" in (await record.read()).snapshot.brakes
        assert a._redis is not None
        assert "b1" in (await a._redis.read()).brakes


async def test_after_a_kill_nobody_is_above_a_confirmed_brake_whatever_stores_say(
    target: Target, record: Record, process: StandinProcess, valkey: Valkey, tmp_path: Path
) -> None:
    row = await write_share(record, 100)
    async with flagging(tmp_path / "a", target) as a:
        assert (await a.hear(HANDED)).confirmed
    process.stop()
    async with flagging(tmp_path / "a", target, redis_url=valkey.url) as again:
        assert (again.assign("u").reason, on_realtime(again)) == ("STALE", 0)
        # A Redis that is old: it has the share, and not the brake.
        assert again._redis is not None
        await until(again._is_pushed)
        await again._redis.merge(Snapshot(target=NAME).with_row(row))
        await asyncio.sleep(0)
        assert on_realtime(again) == 0
        process.start()
        await until(lambda: not again.holder.blind)
        assert (again.assign("u").reason, on_realtime(again)) == ("BRAKED", 0)


async def test_a_record_that_was_put_back_becomes_a_brake_that_the_next_raise_lifts(
    target: Target, record: Record, tmp_path: Path
) -> None:
    await write_share(record, 25)
    async with flagging(tmp_path / "a", target) as a, flagging(tmp_path / "b", target) as b:
        await until(lambda: a.holder.snapshot.n > 0)
        quarter = on_realtime(a)
        row = await write_share(record, 75)
        await until(lambda: on_realtime(a) == on_realtime(b) > quarter)
        assert target.database_url is not None
        async with await psycopg.AsyncConnection.connect(target.database_url) as connection:
            await connection.execute(f"delete from monitoring_flags where n = {row.n}")
        await until(lambda: on_realtime(a) == on_realtime(b) == quarter)
        (brake,) = a.holder.snapshot.live_brakes()
        assert (brake.max_percent, "went back" in brake.reason) == (25, True)
        assert [one.id for one in b.holder.snapshot.live_brakes()] == [brake.id]
        await until(lambda: not a._record_lacks())
        again = await write_share(record, 75, known_n=row.n, lifts=[brake.id])
        assert again.n > row.n
        await until(lambda: on_realtime(a) == on_realtime(b) > quarter)


async def test_a_start_after_a_kill_takes_the_earlier_one_out_and_the_list_is_kept(
    target: Target, record: Record, tmp_path: Path
) -> None:
    async with flagging(tmp_path / "a", target) as a:
        await until(lambda: len(a.registration.known) == 1)
        killed = a.registration.id
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "flag-processes.json").write_bytes(
            (tmp_path / "a" / "flag-processes.json").read_bytes()
        )
    await record.register(killed, "gone:1", None)  # as a kill leaves it
    kept = ProcessesFile(tmp_path / "b").read(NAME)
    assert ([one.id for one in kept.known], kept.mine) == ([killed], (killed,))
    async with flagging(tmp_path / "b", target) as b:
        await until(lambda: [one.id for one in b.registration.known] == [b.registration.id])
        assert [one.id for one in (await record.read()).processes] == [b.registration.id]


async def test_flags_of_another_project_in_the_record_are_an_alarm_and_nobody_s(
    target: Target, tmp_path: Path
) -> None:
    other = Record(target, "public", "production")
    await write_share(other, 100)
    await other.aclose()
    async with flagging(tmp_path / "a", target) as a:
        said = a.status()
        assert (on_realtime(a), said.blind, said.tiers["record"].state) == (0, True, "paused")
        assert "'production'" in str(said.tiers["record"].reason)
