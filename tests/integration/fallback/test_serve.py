"""A real `serve` whose Realtime, or whose table, is taken away while two subscribers on Realtime go on reading."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import migctl
from migctl import clock
from migctl.config import Target
from migctl.config.modes import LiveWay
from migctl.events.ids import uuid7
from migctl.faults import switches, tcp_proxy
from migctl.subscriber.core.release import Release
from tests.kit.broadcasting import port_of
from tests.kit.conditions import until
from tests.kit.receiving import Received, receiving
from tests.kit.serve_process import run, serving_process

# After so long a subscriber would leave Realtime of its own accord.
GUESSED_AFTER_S = 300.0


@contextlib.asynccontextmanager
async def posting(http: httpx.AsyncClient) -> AsyncIterator[list[str]]:
    """Twenty events a second, for the length of the block; the ids of those that were acknowledged."""
    ids: list[str] = []

    async def post() -> None:
        while True:
            event_id = uuid7()
            event = {"id": event_id, "event_type": "cpu", "data": {"n": len(ids)}}
            assert (await http.post("/events", json=[event])).status_code == 201
            ids.append(event_id)
            await asyncio.sleep(0.05)

    task = asyncio.create_task(post())
    try:
        yield ids
        assert not task.done(), task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})


def came_live(releases: list[Release]) -> bool:
    """Some of them over Realtime itself, not from the tables."""
    return any((each.transport, each.via) == ("realtime", "live") for each in releases)


async def after(start: float, condition: Callable[[], Any]) -> float:
    """Seconds from `start` until it holds."""
    await until(condition)
    return round(clock.mono() - start, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "taken", "live"),
    [
        ("broadcast", b"GET /realtime/v1/websocket", "broadcast"),
        ("table", b" /rest/v1/", "broadcast"),
        ("broadcast", b"GET /realtime/v1/websocket", "postgres_changes"),
        ("table", b" /rest/v1/", "postgres_changes"),
        ("broadcast", "slot-loss", "postgres_changes"),  # broadcast itself is well
    ],
)
async def test_subscribers_are_told_to_leave_realtime_and_to_return_and_miss_nothing(
    standin: Target,
    tmp_path: Path,
    part: str,
    taken: bytes | str,
    live: LiveWay,
    record_property: Callable[[str, object], None],
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(tcp_proxy(port_of(standin)))
        environment = {
            "SUPABASE_URL": proxy.url,
            "SUPABASE_ANON_KEY": standin.need("anon_key"),
            "SUPABASE_SERVICE_ROLE_KEY": standin.need("service_role_key"),
            "SUPABASE_JWT_SECRET": standin.need("jwt_secret"),
            "DATABASE_URL": standin.need("database_url"),
            "MIGCTL_FLAG_TRANSPORT": "realtime",
        }
        (tmp_path / "serve").mkdir()
        (tmp_path / "serve" / "migctl.yaml").write_text(f"realtime: {{ live: {live} }}\n")
        serve = await asyncio.to_thread(
            stack.enter_context, serving_process(tmp_path / "serve", "--mode", "dual", more=environment)
        )
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=serve.url, trust_env=False))

        async def told() -> Any:
            return (await http.get("/api/status")).json()

        # What they could guess for themselves comes too late: only the word of `serve` moves them here.
        subscribers = [
            await stack.enter_async_context(migctl.Subscriber(serve.url, gone_s=GUESSED_AFTER_S, hold_s=1.0))
            for _ in range(2)
        ]
        both: list[Received] = [await stack.enter_async_context(receiving(each)) for each in subscribers]

        def attached(where: str) -> bool:
            return all(each.attached == {where} for each in subscribers)

        async with posting(http) as ids:
            await until(lambda: attached("realtime") and all(len(each.releases) > 20 for each in both))
            await until(
                lambda: _is(told, lambda status: status["transports"]["realtime"]["canary"]["seen"] > 2)
            )
            assert (await told())["fallback"]["active"] is False
            assert all(came_live(each.releases) for each in both)

            began = clock.mono()
            if isinstance(taken, bytes):
                proxy.refuse_requests(taken)
            else:
                await asyncio.to_thread(switches.switch_on, standin, taken)
                stack.callback(switches.clear, standin)
            detected = await after(
                began, lambda: _is(told, lambda status: status["breakers"][part]["state"] == "open")
            )
            fallen = await after(began, lambda: attached("websocket"))
            fallback = (await told())["fallback"]
            assert (fallback["active"], fallback["times"]) == (True, 1)
            assert part in fallback["reason"]
            if isinstance(taken, str):
                assert "no canary seen by postgres_changes" in fallback["reason"]
            assert "migctl_fallback_active 1.0\n" in (await http.get("/metrics")).text
            shown = await asyncio.to_thread(run, tmp_path / "serve", "status")
            assert "fallback subscribers were sent to the WebSocket" in " ".join(shown.stdout.split())
            count = len(ids)
            await until(lambda: all(len(each.releases) >= count + 20 for each in both))

            healed = clock.mono()
            if isinstance(taken, bytes):
                proxy.refuse_requests(None)
            else:
                await asyncio.to_thread(switches.clear, standin)
            recovered = await after(
                healed, lambda: _is(told, lambda status: not status["fallback"]["active"])
            )
            returned = await after(healed, lambda: attached("realtime"))
            await until(lambda: all(came_live(each.releases[-20:]) for each in both))
        await asyncio.gather(*(each.count(len(ids)) for each in both))
        status = await told()
    for name, seconds in (
        ("detect", detected),
        ("fallback", fallen),
        ("recover", recovered),
        ("return", returned),
    ):
        record_property(f"time_to_{name}_s", seconds)
    for received in both:
        assert received.seqs == list(range(1, len(received.seqs) + 1))
        assert received.ids[: len(ids)] == ids
        assert (len(set(received.ids)), received.gaps) == (len(received.ids), [])
    assert status["fallback"]["times"] == 1
    # The setting is the publisher's and the subscriber's: what the one does not send, the other does not wait for.
    assert (status["transports"]["realtime"]["hints"] == 0) == (live == "postgres_changes")
    assert fallen < GUESSED_AFTER_S


async def _is(ask: Callable[[], Any], holds: Callable[[Any], bool]) -> bool:
    return holds(await ask())
