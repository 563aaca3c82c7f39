"""A line that swallows everything and leaves the connections open: what a router does that forgot them. Nobody says so."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

import migctl
from migctl.config import Target
from migctl.faults.proxy_process import ProxyProcess, proxy_process
from migctl.journal.sqlite import SqliteJournal
from tests.kit.conditions import until
from tests.kit.deployed import deployed, events_going_on
from tests.kit.following import Followed, following
from tests.kit.receiving import Received, receiving

LEFT = "nothing came any more, and no answer"
# Longer than a test waits: what is left is not left for its silence.
NEVER_S = 60.0


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


async def swallow(proxy: ProxyProcess, received: Received | Followed, journal: SqliteJournal) -> None:
    """While events go on: what was said to the line until now is lost, and it works again for who connects anew."""
    await received.count(50)
    await asyncio.to_thread(proxy.do, "black_hole", "both")
    await until(lambda: journal.head > len(received.releases) + 20)
    await asyncio.to_thread(proxy.do, "heal")
    before = journal.head
    await until(lambda: received.seqs[-1] > before + 20)


async def test_a_subscriber_on_realtime_leaves_a_dead_connection_that_is_open(
    target: Target, journal: SqliteJournal, caplog: pytest.LogCaptureFixture
) -> None:
    with proxy_process(port_of(target.supabase_url)) as proxy:
        shown = replace(target, supabase_url=proxy.url)
        async with (
            deployed(journal, target, assigned="realtime", shown=shown) as server,
            migctl.Subscriber(server.url) as subscriber,
            receiving(subscriber) as received,
            events_going_on(journal),
        ):
            await until(lambda: subscriber.attached == {"realtime"})
            await swallow(proxy, received, journal)
    assert LEFT in caplog.text
    assert received.seqs == list(range(1, len(received.seqs) + 1))
    assert received.gaps == []


async def test_a_subscriber_on_the_websocket_leaves_a_dead_connection_that_is_open(
    target: Target, journal: SqliteJournal, caplog: pytest.LogCaptureFixture
) -> None:
    async with deployed(journal, target, heartbeat_s=NEVER_S) as server:
        with proxy_process(server.port) as proxy:
            async with (
                migctl.Subscriber(proxy.url) as subscriber,
                receiving(subscriber) as received,
                events_going_on(journal),
            ):
                await swallow(proxy, received, journal)
    assert LEFT in caplog.text
    assert received.seqs == list(range(1, len(received.seqs) + 1))
    assert received.gaps == []


async def test_a_line_that_is_quiet_is_asked_and_kept_where_it_answers(
    target: Target, journal: SqliteJournal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "migctl")
    async with deployed(journal, target, heartbeat_s=NEVER_S) as server:
        with proxy_process(server.port) as proxy:
            async with migctl.Subscriber(proxy.url) as subscriber, receiving(subscriber) as received:
                async with events_going_on(journal):
                    await received.count(50)
                await received.count(journal.head)
                quiet = proxy.do("count")
                # The question, and its answer.
                await until(lambda: proxy.do("count").bytes_up > quiet.bytes_up)
                asked = proxy.do("count")
                await until(lambda: proxy.do("count").bytes_down > asked.bytes_down)
                await until(lambda: proxy.do("count").bytes_up > asked.bytes_up)
    assert "websocket lost" not in caplog.text


@pytest.mark.parametrize("assigned", ["realtime", "websocket"])
async def test_a_page_leaves_a_dead_connection_that_is_open(
    target: Target, journal: SqliteJournal, assigned: str
) -> None:
    async with deployed(journal, target, heartbeat_s=NEVER_S) as plain:
        upstream = port_of(target.supabase_url) if assigned == "realtime" else plain.port
        with proxy_process(upstream) as proxy:
            plain.target = replace(target, supabase_url=proxy.url) if assigned == "realtime" else target
            plain.assigned = assigned  # type: ignore[assignment]
            await plain.stop_gateway()
            await plain.start_gateway()
            url = plain.url if assigned == "realtime" else proxy.url
            async with following(url) as followed, events_going_on(journal):
                await until(lambda: followed.attached == [assigned])
                await swallow(proxy, followed, journal)
                assert any(LEFT in line for line in followed.log)
    assert followed.seqs == list(range(followed.seqs[0], followed.seqs[-1] + 1))
    assert followed.gaps == []
