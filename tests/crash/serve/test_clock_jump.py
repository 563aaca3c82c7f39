"""The wall clock of `serve` jumps, forward and back: nothing is lost or doubled, and nothing waits for the clock to come round."""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from migctl.config import Target
from migctl.faults.clock import SteppedClock, library
from migctl.subscriber.gateway.subscriber import WebsocketSubscriber
from tests.kit.conditions import until
from tests.kit.receiving import reader, receiving
from tests.kit.relaying import Tables
from tests.kit.serve_process import serving_process
from tests.kit.targets import environment_of

EACH = 20
JUMPS = (600, -600, 172_800, 0)


@pytest.mark.skipif(
    library() is None, reason="NOT TESTED: libfaketime is not here: apt-get install libfaketime"
)
@pytest.mark.slow
async def test_clock_that_jumps_loses_nothing_doubles_nothing_and_holds_nothing_back(
    standin: Target, tmp_path: Path
) -> None:
    clock = SteppedClock(tmp_path)
    tables = Tables(standin.need("database_url"))
    sent: list[str] = []

    async def post(http: httpx.AsyncClient, url: str) -> None:
        for number in range(EACH):
            event: dict[str, Any] = {"event_type": "cpu", "data": {"number": number}}
            answer = await http.post(f"{url}/events?detail=1", json=event)
            assert answer.status_code == 201, answer.text
            sent.append(answer.json()["items"][0]["id"])

    with serving_process(
        tmp_path / "serve", "--mode", "dual", more={**environment_of(standin), **clock.environ}
    ) as serve:
        async with (
            httpx.AsyncClient(trust_env=False) as http,
            WebsocketSubscriber(serve.ws_url) as socket,
            reader(standin) as realtime,
            receiving(socket) as by_socket,
            receiving(realtime) as by_realtime,
        ):

            async def jumped(seconds: float) -> bool:
                # libfaketime reads its file once a second: without this a quick machine posts all before it does.
                answer = await http.get(f"{serve.url}/healthz")
                there = parsedate_to_datetime(answer.headers["Date"]).timestamp()
                return abs(there - time.time() - seconds) < 60

            for jump in JUMPS:
                await post(http, serve.url)
                clock.step(jump)
                await until(lambda jump=jump: jumped(jump))  # type: ignore[misc]
            await post(http, serve.url)
            total = EACH * (len(JUMPS) + 1)
            await asyncio.gather(by_socket.count(total), by_realtime.count(total))

            async def told() -> bool:
                return [(head, journal) for _, head, journal in await tables.heads()] == [(total, total)]

            await until(told)
    assert by_socket.ids == by_realtime.ids == sent
    assert by_socket.seqs == await tables.seqs() == list(range(1, total + 1))
    days = {(release.committed_at or "")[:10] for release in by_socket.releases}
    assert len(days) >= 2, "the clock did not jump"
