"""Users who move while `serve` is killed, and who were sent down before: no event is lost, and no old store sends anybody up."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from migctl import Subscriber
from migctl.config import Target
from migctl.flags.record import Record
from migctl.flags.redis_store import RedisStore
from migctl.flags.snapshot import Snapshot
from migctl.stack.launcher import any_free_port
from migctl.stack.standin_process import StandinProcess
from migctl.stack.valkey import Valkey
from tests.kit.conditions import until
from tests.kit.receiving import Received, receiving
from tests.kit.serve_process import ServeProcess, run, serving_process
from tests.kit.targets import environment_of

NAME = "local/public"
WHY = ("--yes", "--reason", "a test")


class Users:
    """Subscribers of one `serve`, and what each was handed. posted: events so far."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.subscribers: list[Subscriber] = []
        self.received: list[Received] = []
        self.posted = 0

    async def enter(self, stack: AsyncExitStack, count: int) -> None:
        for number in range(count):
            one = await stack.enter_async_context(
                Subscriber(self._url, user=f"user-{number}", wait_s=60, gone_s=0.5, hold_s=0.6, spread_s=0.1)
            )
            self.subscribers.append(one)
            self.received.append(await stack.enter_async_context(receiving(one)))

    def on(self, transport: str) -> int:
        return sum(one.attached == {transport} for one in self.subscribers)

    async def post(self, serve: ServeProcess, count: int = 3) -> None:
        await serve.post(count)
        self.posted += count

    async def all_received(self) -> None:
        await until(lambda: all(len(one.seqs) >= self.posted for one in self.received))
        for one in self.received:
            assert one.seqs == list(range(1, self.posted + 1)), "0 lost, 0 twice, in order"
            assert one.gaps == []


async def rollout(folder: Path, more: dict[str, str], *words: str, code: int = 0) -> dict[str, Any]:
    done = await asyncio.to_thread(run, folder, "rollout", *words, "--output", "json", more=more)
    assert done.returncode == code, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
async def test_a_serve_that_is_killed_while_it_moves_its_users_moves_the_rest_when_it_is_back(
    target: Target, tmp_path: Path
) -> None:
    folder, port, more = tmp_path / "serve", any_free_port(), environment_of(target)
    options = ("--mode", "dual", "--listen", f"127.0.0.1:{port}")
    async with AsyncExitStack() as stack:
        serve = stack.enter_context(serving_process(folder, *options, more=more))
        await rollout(folder, more, "set", "0", "--segment", "internal", *WHY)
        users = Users(serve.url)
        await users.enter(stack, 20)
        assert users.on("websocket") == 20
        await users.post(serve)
        raising = asyncio.create_task(rollout(folder, more, "set", "100", *WHY, code=1))
        await until(lambda: users.on("websocket") < 20)
        serve.send(signal.SIGKILL)
        await asyncio.wait({raising})
        serve = stack.enter_context(serving_process(folder, *options, more=more))
        await users.post(serve)
        await until(lambda: users.on("realtime") == 20)
        await users.post(serve)
        await users.all_received()


@pytest.mark.slow
async def test_an_old_redis_after_a_brake_sends_no_subscriber_up(
    target: Target, process: StandinProcess, valkey: Valkey, tmp_path: Path
) -> None:
    folder, port = tmp_path / "serve", any_free_port()
    more = {**environment_of(target), "REDIS_URL": valkey.url}
    options = ("--mode", "dual", "--listen", f"127.0.0.1:{port}")

    def flags(serve: ServeProcess) -> Any:
        return httpx.get(f"{serve.url}/api/status", trust_env=False).json()["flags"]

    async with AsyncExitStack() as stack:
        serve = stack.enter_context(serving_process(folder, *options, more=more))
        await rollout(folder, more, "set", "100", *WHY)
        record = Record(target, "public", NAME)
        stack.push_async_callback(record.aclose)
        old = (await record.read()).snapshot
        users = Users(serve.url)
        await users.enter(stack, 5)
        await until(lambda: users.on("realtime") == 5)
        await users.post(serve)
        await users.all_received()

        process.stop()
        valkey.stop()
        brake = (await rollout(folder, more, "abort", "--reason", "an alarm"))["brake"]["id"]
        await until(lambda: users.on("websocket") == 5)
        serve.send(signal.SIGKILL)
        valkey.begin()
        valkey.wait_ready()
        await put_into(valkey.url, old)
        serve = stack.enter_context(serving_process(folder, *options, more=more))
        await until(lambda: flags(serve)["tiers"]["redis"]["state"] == "running")
        await until(lambda: users.on("websocket") == 5)
        await users.post(serve)
        process.start()
        await until(lambda: not flags(serve)["blind"])
        await until(lambda: flags(serve)["tiers"]["record"]["state"] == "running")
        await users.post(serve)
        await users.all_received()
        # Who fell while serve was away is on both until the gateway has proven itself; who was sent up would stay there.
        await until(lambda: users.on("websocket") == 5)
        # All that came since: before the brake they were on Realtime.
        for one in users.received:
            assert {release.transport for release in one.releases[3:]} == {"websocket"}
        await rollout(folder, more, "set", "100", *WHY, "--lift", brake)
        await until(lambda: users.on("realtime") == 5)
        await users.post(serve)
        await users.all_received()


async def put_into(redis_url: str, snapshot: Snapshot) -> None:
    async def nobody(_: Snapshot) -> None: ...

    store = RedisStore(redis_url, NAME, nobody)
    await store.merge(snapshot)
    await store.aclose()
