"""The canary, the breaker of broadcast and the HTTP endpoint, while parts of the stand-in's Realtime are taken away."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from migctl import clock
from migctl.config import Target
from migctl.faults import switches, tcp_proxy
from migctl.journal.sqlite import SqliteJournal
from migctl.stack.keys import Keys
from migctl.stack.launcher import any_free_port
from migctl.stack.standin_process import StandinOptions, StandinProcess
from migctl.transports.realtime import Broadcast
from tests.integration.realtime.conftest import Received
from tests.kit.broadcasting import PHOENIX_S, broadcasting, port_of
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.targets import target_of

Receive = Callable[..., Awaitable[Received]]

SOCKETS = b"GET /realtime/v1/websocket"


async def seen(transport: Broadcast) -> None:
    """Wait until two more canaries were seen."""
    before = transport.status().canary.observed
    await until(lambda: transport.status().canary.observed >= before + 2)


async def test_canary_is_seen_by_a_subscriber_of_the_role_that_subscribers_have(
    journal: SqliteJournal, standin: Target
) -> None:
    async with broadcasting(journal, standin) as transport:
        await seen(transport)
        canary = transport.status().canary
        assert (canary.state, canary.role) == ("listening", "authenticated")
        assert canary.last_ms > 0
        assert (transport.breaker, transport.status().state) == ("closed", "connected")


async def test_canaries_do_not_reach_those_who_read_events(
    journal: SqliteJournal, standin: Target, receive: Receive
) -> None:
    async with broadcasting(journal, standin) as transport:
        await until(lambda: transport.status().state == "connected")
        received = await receive()
        await seen(transport)
        await journal.append([event()])
        await until(lambda: received.seqs == [1])
        assert len(received.hints) == 1


async def test_hints_go_by_http_while_only_our_socket_is_lost_and_nobody_is_alarmed(
    journal: SqliteJournal, standin: Target, receive: Receive
) -> None:
    ours = SOCKETS + b"?apikey=" + standin.need("service_role_key").encode()
    async with tcp_proxy(port_of(standin)) as proxy:
        async with broadcasting(journal, replace(standin, supabase_url=proxy.url)) as transport:
            await until(lambda: transport.status().state == "connected")
            received = await receive()
            await journal.append([event()])
            await until(lambda: received.seqs == [1])
            proxy.refuse_requests(ours)
            await until(lambda: transport.status().way == "http")
            for number in range(2, 22):
                await journal.append([event()])
                await until(lambda number=number: received.seqs[-1] == number)  # type: ignore[misc]
            await until(lambda: received.heartbeats and received.heartbeats[-1]["journal_head"] == 21)
            await seen(transport)
            assert transport.breaker == "closed"
            assert transport.status().sent_by_http >= 20
            proxy.refuse_requests(None)
            await until(lambda: transport.status().way == "channel")
            by_http = transport.status().sent_by_http
            await journal.append([event()])
            await until(lambda: received.seqs[-1] == 22)
            assert transport.status().sent_by_http == by_http
        assert received.seqs == list(range(1, 23))


@pytest.mark.slow
async def test_silence_opens_the_breaker_though_http_takes_everything_and_a_canary_closes_it(
    journal: SqliteJournal, standin: Target
) -> None:
    async with (
        tcp_proxy(port_of(standin)) as proxy,
        broadcasting(journal, replace(standin, supabase_url=proxy.url)) as transport,
    ):
        await seen(transport)
        proxy.refuse_requests(SOCKETS)
        began = clock.mono()
        await until(lambda: transport.breaker == "open")
        assert clock.mono() - began < PHOENIX_S
        assert transport.status().state != "connected"
        by_http = transport.status().sent_by_http
        await until(lambda: transport.status().breaker.state == "half_open")
        await until(lambda: transport.status().breaker.state == "open")
        # A trial of a second and a half: canaries, and no hints.
        await journal.append([event()])
        assert transport.status().sent_by_http <= by_http + 5
        proxy.refuse_requests(None)
        await until(lambda: transport.breaker == "closed")
        assert transport.status().breaker.opened == 1
        await until(lambda: transport.status().state == "connected")


async def test_when_the_canary_has_its_socket_again_the_trial_does_not_wait_for_its_time(
    journal: SqliteJournal, standin: Target
) -> None:
    """Our own channel is there all the while: nothing but the canary's socket says that subscribers can join again."""
    its = SOCKETS + b"?apikey=" + standin.need("anon_key").encode()
    async with (
        tcp_proxy(port_of(standin)) as proxy,
        broadcasting(
            journal,
            replace(standin, supabase_url=proxy.url),
            breaker={"open_s": 600.0, "max_open_s": 600.0},
        ) as transport,
    ):
        await seen(transport)
        proxy.refuse_requests(its)
        await until(lambda: transport.breaker == "open")
        proxy.refuse_requests(None)
        await until(lambda: transport.breaker == "closed")


async def test_acknowledged_is_not_delivered_so_subscribers_that_hear_nothing_open_the_breaker(
    journal: SqliteJournal, standin: Target
) -> None:
    """Our own channel is spared and acknowledges everything; each subscriber's channel is shut as it joins."""
    async with broadcasting(journal, standin) as transport:
        await seen(transport)
        await asyncio.to_thread(switches.switch_on, standin, "channel-closed", for_s=60.0)
        await until(lambda: transport.breaker == "open")
        assert transport.status().way == "channel"
        assert transport.status().state == "degraded"
        await asyncio.to_thread(switches.clear, standin)
        await until(lambda: transport.breaker == "closed")
        assert transport.status().state == "connected"


async def test_one_closed_socket_of_the_canary_alarms_nobody(journal: SqliteJournal, standin: Target) -> None:
    async with broadcasting(journal, standin) as transport:
        await seen(transport)
        await asyncio.to_thread(switches.switch_on, standin, "clean-close")
        await until(lambda: transport.status().canary.state == "connecting")
        await seen(transport)
        assert (transport.breaker, transport.status().breaker.opened) == ("closed", 0)


async def test_black_hole_opens_the_breaker_and_the_canary_gets_a_new_socket_after_it(
    journal: SqliteJournal, standin: Target
) -> None:
    async with (
        tcp_proxy(port_of(standin)) as proxy,
        broadcasting(journal, replace(standin, supabase_url=proxy.url)) as transport,
    ):
        await seen(transport)
        proxy.swallow()
        began = clock.mono()
        await until(lambda: transport.breaker == "open")
        assert clock.mono() - began < PHOENIX_S
        proxy.swallow(False)
        await until(lambda: transport.breaker == "closed")
        await seen(transport)


async def test_killed_target_opens_the_breaker_by_failures_and_its_return_closes_it(
    journal: SqliteJournal, migrated: str, keys: Keys, tmp_path: Path
) -> None:
    process = StandinProcess(
        tmp_path / "own", any_free_port(), database_url=migrated, jwt_secret=keys.jwt_secret
    )
    process.start()
    try:
        async with broadcasting(journal, target_of(process, migrated, keys)) as transport:
            await seen(transport)
            process.send(signal.SIGKILL)
            began = clock.mono()
            await asyncio.to_thread(process.wait, 5.0)
            await until(lambda: transport.breaker == "open")
            assert clock.mono() - began < PHOENIX_S
            process.begin()
            await until(lambda: transport.breaker == "closed")
            await journal.append([event()])
            await until(lambda: transport.status().sent_to_seq == 1)
    finally:
        process.stop()


@pytest.mark.slow
async def test_over_the_rate_it_pauses_and_slows_down_and_does_not_come_back_at_full_speed(
    journal: SqliteJournal, migrated: str, keys: Keys, tmp_path: Path
) -> None:
    """The plan allows 100 messages a second; we were told that it allows 3,000."""
    process = StandinProcess(
        tmp_path / "own",
        any_free_port(),
        database_url=migrated,
        jwt_secret=keys.jwt_secret,
        options=StandinOptions(rates="free"),
    )
    process.start()
    try:
        target = target_of(process, migrated, keys)
        async with broadcasting(journal, target, messages_per_second=3000.0) as transport:
            await seen(transport)

            async def flood() -> None:
                while True:
                    await journal.append([event()])
                    await asyncio.sleep(0)

            flooding = asyncio.create_task(flood())
            try:
                await until(lambda: transport.status().rate_refusals >= 1)
                hints, began = transport.status().hints, clock.mono()
                await until(lambda: transport.status().rate_refusals >= 2)
                assert clock.mono() - began >= 0.9
                assert transport.status().hints - hints < 1000
                assert transport.status().channels_opened <= 5
            finally:
                flooding.cancel()
                await asyncio.wait({flooding})
    finally:
        process.stop()
