"""The canary where events come by postgres_changes: one way of two is taken away, and then it is not seen."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from migctl import clock
from migctl.config import Target
from migctl.faults import switches, tcp_proxy
from migctl.journal.sqlite import SqliteJournal
from migctl.transports.realtime import Broadcast
from tests.kit.broadcasting import PHOENIX_S, broadcasting, port_of
from tests.kit.conditions import until
from tests.kit.relaying import Tables

CHANGES_SILENT = "no canary seen by postgres_changes for 2.5 s"


async def seen(transport: Broadcast) -> None:
    """Wait until two more canaries were seen."""
    before = transport.status().canary.observed
    await until(lambda: transport.status().canary.observed >= before + 2)


async def opens(transport: Broadcast) -> str | None:
    """The reason, once the breaker is open."""
    await until(lambda: transport.breaker == "open")
    return transport.status().breaker.reason


async def closes(transport: Broadcast) -> None:
    await until(lambda: transport.breaker == "closed")
    await seen(transport)


def ways(transport: Broadcast) -> dict[str, float | None]:
    return {each.name: each.silent_for_s for each in transport.status().canary.ways}


async def test_canary_goes_both_ways_and_is_seen_in_time(journal: SqliteJournal, standin: Target) -> None:
    async with broadcasting(journal, standin, live="postgres_changes") as transport:
        for _ in range(4):
            await seen(transport)
        assert (transport.breaker, transport.status().breaker.opened) == ("closed", 0)
        assert ways(transport).keys() == {"broadcast", "postgres_changes"}
        assert all(silent is not None for silent in ways(transport).values())
        assert transport.status().canary.last_ms > 0


async def test_touches_say_nothing_that_is_not_so(
    journal: SqliteJournal, standin: Target, migrated: str
) -> None:
    async with broadcasting(journal, standin, live="postgres_changes") as transport:
        await seen(transport)
    assert await Tables(migrated).heads() == [(journal.epoch, 0, 0)]


@pytest.mark.slow
async def test_lost_slot_opens_the_breaker_though_broadcast_is_well(
    journal: SqliteJournal, standin: Target
) -> None:
    async with broadcasting(journal, standin, live="postgres_changes") as transport:
        await seen(transport)
        began = clock.mono()
        await asyncio.to_thread(switches.switch_on, standin, "slot-loss")
        assert await opens(transport) == CHANGES_SILENT
        assert clock.mono() - began < PHOENIX_S
        assert transport.status().way == "channel"
        assert transport.status().state == "degraded"
        await asyncio.to_thread(switches.clear, standin)
        await closes(transport)
        assert transport.status().breaker.opened == 1


@pytest.mark.slow
async def test_changes_that_are_skipped_open_the_breaker(journal: SqliteJournal, standin: Target) -> None:
    async with broadcasting(journal, standin, live="postgres_changes") as transport:
        await seen(transport)
        await asyncio.to_thread(switches.switch_on, standin, "rate-skip")
        assert await opens(transport) == CHANGES_SILENT
        await asyncio.to_thread(switches.clear, standin)
        await closes(transport)


@pytest.mark.slow
async def test_subscription_that_is_deleted_in_silence_is_made_anew(
    journal: SqliteJournal, standin: Target
) -> None:
    async with broadcasting(journal, standin, live="postgres_changes") as transport:
        await seen(transport)
        await asyncio.to_thread(switches.switch_on, standin, "subscriptions-cleared")
        assert await opens(transport) == CHANGES_SILENT
        await closes(transport)


@pytest.mark.slow
async def test_policy_that_raises_opens_the_breaker(
    journal: SqliteJournal, standin: Target, migrated: str
) -> None:
    """What is read as the service's role goes on; a subscriber's change is lost at each poll."""
    table = Tables(migrated)
    async with broadcasting(journal, standin, live="postgres_changes") as transport:
        await seen(transport)
        await table.run(
            "create policy poison on monitoring_heads as restrictive for select to authenticated"
            " using (1 / (table_tail - table_tail) = 0)"
        )
        try:
            assert await opens(transport) == CHANGES_SILENT
        finally:
            await table.run("drop policy poison on monitoring_heads")
        await closes(transport)


async def test_table_out_of_the_publication_is_a_refusal_with_its_reason(
    journal: SqliteJournal, standin: Target, migrated: str
) -> None:
    table = Tables(migrated)
    await table.run("alter publication supabase_realtime drop table monitoring_heads")
    try:
        async with broadcasting(journal, standin, live="postgres_changes") as transport:
            await until(lambda: transport.status().canary.reason is not None)
            reason = await opens(transport)
            assert reason is not None
            assert "postgres_changes" in reason
            await table.run("alter publication supabase_realtime add table monitoring_heads")
            await closes(transport)
    finally:
        await table.run(
            "do $$ begin alter publication supabase_realtime add table monitoring_heads;"
            " exception when duplicate_object then null; end $$"
        )


@pytest.mark.slow
async def test_outage_of_the_table_is_told_as_what_it_is(journal: SqliteJournal, standin: Target) -> None:
    async with (
        tcp_proxy(port_of(standin)) as proxy,
        broadcasting(
            journal, standin, live="postgres_changes", touched_at=replace(standin, supabase_url=proxy.url)
        ) as transport,
    ):
        await seen(transport)
        proxy.refuse_requests(b" /rest/v1/")
        reason = await opens(transport)
        assert reason is not None
        assert reason.startswith(f"{CHANGES_SILENT}: the row of heads could not be touched")
        proxy.refuse_requests(None)
        await closes(transport)


async def test_where_hints_are_the_way_of_events_dead_changes_alarm_nobody(
    journal: SqliteJournal, standin: Target
) -> None:
    async with broadcasting(journal, standin) as transport:
        await seen(transport)
        await asyncio.to_thread(switches.switch_on, standin, "slot-loss")
        try:
            for _ in range(4):  # four seconds, by which it would have opened
                await seen(transport)
            assert (transport.breaker, transport.status().breaker.opened) == ("closed", 0)
            assert ways(transport).keys() == {"broadcast"}
        finally:
            await asyncio.to_thread(switches.clear, standin)
