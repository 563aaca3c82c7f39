"""Supabase and the gateway down at once, and parts that nobody needs for delivery: subscribers wait, and then have everything."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

import migctl
from migctl.config import Target
from migctl.stack.embedded import EmbeddedStack
from migctl.stack.launcher import any_free_port
from migctl.stack.standin_process import StandinProcess
from tests.kit.conditions import until
from tests.kit.receiving import receiving
from tests.kit.serve_process import ServeProcess, serving_process
from tests.kit.targets import environment_of


async def post(serve: ServeProcess, count: int) -> None:
    events: list[dict[str, Any]] = [{"event_type": "cpu", "data": {"used": one}} for one in range(count)]
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.post(f"{serve.url}/events", json=events)).status_code == 201


@pytest.mark.parametrize("first_back", ["supabase", "serve"])
@pytest.mark.parametrize("assigned", ["websocket", "realtime"])
async def test_both_transports_down_at_once_are_waited_for_and_nothing_is_missed(
    process: StandinProcess, target: Target, tmp_path: Path, assigned: str, first_back: str
) -> None:
    options = ("--mode", "dual", "--listen", f"127.0.0.1:{any_free_port()}")
    more = {
        **environment_of(target),
        "MIGCTL_FLAG_TRANSPORT": assigned,
    }
    folder = tmp_path / "serve"
    with serving_process(folder, *options, more=more) as serve:
        async with (
            migctl.Subscriber(serve.url, gone_s=0.5, hold_s=0.6, spread_s=0.1) as subscriber,
            receiving(subscriber) as received,
        ):
            await post(serve, 20)
            await received.count(20)
            process.send(signal.SIGKILL)
            process.wait(60)
            await post(serve, 20)  # the table does not have these when serve is killed
            serve.send(signal.SIGKILL)
            await until(lambda: not subscriber.attached)
            if first_back == "supabase":
                process.start()
                # By now it may be attached to a Realtime that has nothing more to tell.
                await until(lambda: "realtime" in subscriber.attached)
            with serving_process(folder, *options, more=more) as again:
                await post(again, 20)
                if first_back == "serve":
                    await received.count(60)
                    process.start()
                await until(lambda: subscriber.attached == {assigned})
                # A hint may be lost while sender and subscriber come back, and is then fetched from the gateway.
                await received.count(total := 60)
                async with asyncio.timeout(30):
                    while received.releases[-1].transport != assigned:
                        await post(again, 20)
                        await received.count(total := total + 20)
    assert received.seqs == list(range(1, total + 1))
    assert (len(set(received.ids)), received.gaps) == (total, [])


async def test_valkey_that_is_killed_is_not_missed_by_anybody_who_publishes_or_receives(
    tmp_path: Path,
) -> None:
    from migctl import schema

    with EmbeddedStack(tmp_path / "stack") as stack:
        await schema.apply(stack.target.need("database_url"), "public", who="a test")
        more = {**environment_of(stack.target), "REDIS_URL": stack.target.redis_url or ""}
        with serving_process(tmp_path / "serve", "--mode", "dual", more=more) as serve:
            async with migctl.Subscriber(serve.url) as subscriber, receiving(subscriber) as received:
                await post(serve, 5)
                await received.count(5)
                stack.kill("valkey")
                await post(serve, 5)
                await received.count(10)
                async with httpx.AsyncClient(trust_env=False) as http:
                    assert (await http.get(f"{serve.url}/readyz")).json()["status"] == "ok"
    assert received.seqs == list(range(1, 11))
