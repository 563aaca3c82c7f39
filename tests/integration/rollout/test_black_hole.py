"""Supabase and Redis that take connections and answer nothing: going down waits for neither."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
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
from migctl.runtime.rollout_wish import Outcome, Wish
from migctl.stack.valkey import Valkey
from tests.integration.rollout.test_commands import ADMIN, WHY, Stage, percent
from tests.kit.conditions import until
from tests.kit.serve_process import ServeProcess, environment

WISH = Wish("ada", "an alarm", lambda _: ())


async def reached(
    serves: Sequence[ServeProcess], share: float, move: Awaitable[Outcome]
) -> tuple[Outcome, float]:
    """What became of it, and after how many seconds the last serve gave its users this share."""
    began = clock.mono()

    async def all_have() -> float:
        def have() -> bool:
            return all(percent(serve) == share for serve in serves)

        await until(lambda: asyncio.to_thread(have))
        return clock.mono() - began

    outcome, took_s = await asyncio.gather(move, all_have())
    return outcome, took_s


@pytest.mark.timeout(400)
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
        downs: list[tuple[float, Callable[[], Awaitable[Outcome]]]] = [
            (25, lambda: rollout_moves.set_share(settings, 25, ALL, WISH)),
            (10, lambda: rollout_moves.set_share(settings, 10, ALL, WISH)),
            (0, lambda: rollout_moves.abort(settings, WISH)),
        ]
        with ExitStack() as stack:
            serves = [await asyncio.to_thread(stage.start, stack, number) for number in range(3)]
            await asyncio.to_thread(stage.call, "set", "50", *WHY)
            supabase.swallow()
            redis.swallow()
            for share, move in downs:
                outcome, took_s = await reached(serves, share, move())
                assert outcome.done is not None
                handed = outcome.done.handed
                assert handed is not None
                assert (len(handed.confirmed), handed.unconfirmed) == (3, ())
                assert handed.record is not None
                assert not handed.record.has
                assert took_s < 1
            # Up has nobody to ask.
            with pytest.raises(Transient, match="only there a share rises"):
                await rollout_moves.set_share(settings, 75, ALL, WISH)
            # What was said meanwhile stays said when both answer again.
            for proxy in (supabase, redis):
                proxy.heal()
                proxy.cut_all()

            def known() -> bool:
                return len(stage.call("status")["brakes"]) == 3

            await until(lambda: asyncio.to_thread(known), within_s=60)
            assert [await asyncio.to_thread(percent, serve) for serve in serves] == [0, 0, 0]
