"""Supabase and Redis that take connections and answer nothing: going down waits for neither."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from migctl import clock
from migctl.config import Target, load
from migctl.errors import Transient
from migctl.faults.tcp_proxy import tcp_proxy
from migctl.flags.shares import ALL
from migctl.runtime import rollout_moves
from migctl.runtime.handing import Handed
from migctl.runtime.rollout import control
from migctl.runtime.rollout_wish import Effect, Proposed, Wish
from migctl.stack.valkey import Valkey
from tests.integration.rollout.test_commands import ADMIN, WHY, Stage, percent
from tests.kit.conditions import until
from tests.kit.serve_process import environment


async def until_confirmed(move: Callable[[Wish], Awaitable[Effect]]) -> tuple[Handed, float]:
    """What became of it, and how many seconds after it was begun the last serve had confirmed: asked first, then handed on."""
    began, asked_at = clock.mono(), list[float]()

    def asking(_: Proposed) -> tuple[str, ...]:
        asked_at.append(clock.mono())
        return ()

    effect = await move(Wish("ada", "an alarm", asking))
    assert effect.done is not None
    assert effect.done.handed is not None
    return effect.done.handed, asked_at[0] - began + effect.done.handed.took_s


@pytest.mark.timeout(900)
@pytest.mark.slow
async def test_down_reaches_every_serve_within_a_second_with_both_stores_in_a_black_hole(
    target: Target, valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = [urlsplit(url).port or 0 for url in (target.supabase_url, valkey.url)]
    async with tcp_proxy(ports[0]) as supabase, tcp_proxy(ports[1]) as redis:
        behind = replace(target, supabase_url=supabase.url)
        stage = Stage(tmp_path, behind, valkey.url.replace(str(ports[1]), str(redis.port)))
        for name, value in environment(stage.desk, {**stage.environ, "MIGCTL_TOKEN": ADMIN}).items():
            monkeypatch.setenv(name, value)
        settings = load()
        downs: list[tuple[float, Callable[[Wish], Awaitable[Effect]]]] = [
            (25, lambda wish: rollout_moves.set_share(settings, 25, ALL, wish)),
            (10, lambda wish: rollout_moves.set_share(settings, 10, ALL, wish)),
            (0, lambda wish: rollout_moves.abort(settings, wish)),
        ]
        with ExitStack() as stack:
            serves = [await asyncio.to_thread(stage.start, stack, number) for number in range(3)]
            await asyncio.to_thread(stage.call, "set", "50", *WHY)
            supabase.swallow()
            redis.swallow()
            for share, move in downs:
                handed, took_s = await until_confirmed(move)
                assert (len(handed.confirmed), handed.unconfirmed) == (3, ())
                assert handed.record is not None
                assert not handed.record.has
                assert took_s < 1
                assert [await asyncio.to_thread(percent, serve) for serve in serves] == [share] * 3
            # Up has nobody to ask.
            with pytest.raises(Transient, match="only there a share rises"):
                await rollout_moves.set_share(settings, 75, ALL, Wish("ada", "up", lambda _: ()))
            # What was said meanwhile stays said when both answer again.
            for proxy in (supabase, redis):
                proxy.heal()
                proxy.cut_all()

            def known() -> bool:
                return len(stage.call("status")["brakes"]) == 3

            await until(lambda: asyncio.to_thread(known))
            assert [await asyncio.to_thread(percent, serve) for serve in serves] == [0, 0, 0]


@pytest.mark.slow
async def test_closing_waits_for_no_record_once_the_serve_here_gives_anybody_more_than_nothing(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tcp_proxy(urlsplit(target.supabase_url).port or 0) as supabase:
        stage = Stage(tmp_path, replace(target, supabase_url=supabase.url))
        with ExitStack() as stack:
            serve = await asyncio.to_thread(stage.start, stack, 0)
            for name, value in environment(tmp_path / "s0", stage.environ).items():
                monkeypatch.setenv(name, value)
            settings = load()
            # Nobody has anything: the record says so, and it is what counts.
            async with control(settings, print, start=False) as at:
                assert (await at.read_to_close(within_s=60)).basis is not None
            await asyncio.to_thread(stage.call, "set", "50", *WHY)
            supabase.swallow()
            async with control(settings, print, start=False) as at:
                # Far longer than this test may take: who waited for the record would not get here.
                standing = await at.read_to_close(within_s=3600)
            assert standing.basis is None
            assert [shares.percent for shares in standing.all_effective][-1:] == [50]
            effect = await rollout_moves.set_share(settings, 0, ALL, Wish("ada", "an alarm", lambda _: ()))
            assert effect.proposed.direction == "down"
            assert await asyncio.to_thread(percent, serve) == 0


@pytest.mark.slow
async def test_who_confirmed_a_way_down_agrees_with_its_row_too_and_need_not_read_it(
    target: Target, tmp_path: Path
) -> None:
    async with tcp_proxy(urlsplit(target.supabase_url).port or 0) as supabase:
        stage = Stage(tmp_path, target)
        stage.environ["MIGCTL_FLAGS_TARGET"] = "one"
        with ExitStack() as stack:
            for number in (1, 2):
                await asyncio.to_thread(stage.start, stack, number, SUPABASE_URL=supabase.url)
            await asyncio.to_thread(stage.call, "set", "50", *WHY)
            supabase.swallow()  # for the serves alone
            supabase.cut_all()
            done = await asyncio.to_thread(stage.call, "set", "10", "--reason", "too loud")
            assert len(done["processes"]["confirmed"]) == 2
            status = await asyncio.to_thread(stage.call, "status")
            assert (status["percent"], status["brakes"]) == (10, [])
            assert [(one["agrees"], one["why"]) for one in status["processes"]] == [(True, None)] * 2
