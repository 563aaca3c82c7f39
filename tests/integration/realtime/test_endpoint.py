"""Broadcast by HTTP: what reaches subscribers, and what each answer means."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import httpx
import pytest
import respx

from migctl.config import Target
from migctl.errors import Poison, Systemic, Transient
from migctl.transports.realtime.endpoint import Endpoint
from migctl.transports.realtime.exchange import RateLimited
from tests.integration.realtime.conftest import TOPIC, Received
from tests.kit.conditions import until

Receive = Callable[..., Awaitable[Received]]


@pytest.fixture
async def endpoint(standin: Target) -> AsyncIterator[Endpoint]:
    made = Endpoint(standin)
    yield made
    await made.aclose()


async def test_message_reaches_who_listens_and_the_answer_tells_what_is_left_of_the_rate(
    endpoint: Endpoint, receive: Receive
) -> None:
    received = await receive()
    assert await endpoint.post(TOPIC, "heartbeat", b'{"v":1,"n":0.1}') == 2500
    await until(lambda: received.heartbeats == [{"v": 1, "n": 0.1}])


async def test_message_that_the_server_finds_wrong_is_the_message_s_own_fault(endpoint: Endpoint) -> None:
    with pytest.raises(Poison, match="422"):
        await endpoint.post(TOPIC, "heartbeat", b"[1]")


async def test_wrong_key_is_systemic_and_nobody_there_is_transient(standin: Target) -> None:
    for target, kind in (
        (replace(standin, service_role_key="not a key"), Systemic),
        (replace(standin, supabase_url="http://127.0.0.1:9"), Transient),
    ):
        endpoint = Endpoint(target)
        with pytest.raises(kind):
            await endpoint.post(TOPIC, "heartbeat", b"{}")
        await endpoint.aclose()


async def test_429_is_told_from_other_failures(endpoint: Endpoint, standin: Target) -> None:
    with respx.mock:
        respx.post(f"{standin.supabase_url}/realtime/v1/api/broadcast").mock(
            return_value=httpx.Response(429, json={"message": "You have exceeded your rate limit"})
        )
        with pytest.raises(RateLimited, match="exceeded your rate limit"):
            await endpoint.post(TOPIC, "heartbeat", b"{}")
