"""What users do to a subscriber: leave the loop, cancel, iterate twice, come too early or too late, be slow, give a wrong token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import migctl
from migctl.config import Target
from migctl.errors import Systemic, Transient, Usage
from migctl.events import Position
from migctl.journal.sqlite import SqliteJournal
from migctl.server.access.tokens import Tokens, mint_token
from migctl.stack.launcher import any_free_port
from migctl.subscriber.core.merge import Merge
from tests.kit.conditions import until
from tests.kit.deployed import deployed
from tests.kit.entries import event
from tests.kit.receiving import receiving
from tests.kit.relaying import Tables
from tests.kit.served import Served, serving


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, heartbeat_s=0.5) as it:
        yield it


def url(served: Served) -> str:
    return f"http://{served.host}:{served.port}"


async def seqs(subscriber: migctl.Subscriber, count: int) -> list[int]:
    """The next releases, by a loop that is left."""
    found: list[int] = []
    async for item in subscriber:
        assert isinstance(item, migctl.Release)
        assert subscriber.position == item.position, "the position is that of what was handed out"
        found.append(item.seq)
        if len(found) == count:
            break
    return found


async def test_loop_that_is_left_goes_on_in_the_next_one_and_so_does_the_next_subscriber(
    served: Served,
) -> None:
    """All events are there before the first is taken: what the loop did not reach is not counted as handed out."""
    await served.journal.append([event() for _ in range(30)])
    start = Position(served.journal.epoch, 0)
    async with migctl.Subscriber(url(served), position=start) as subscriber:
        await until(lambda: subscriber.merge.top == Position(start.epoch, 30))
        assert await seqs(subscriber, 7) == list(range(1, 8))
        assert await seqs(subscriber, 3) == [8, 9, 10]
        kept = subscriber.position
    async with migctl.Subscriber(url(served), position=kept) as subscriber:
        assert await seqs(subscriber, 20) == list(range(11, 31))


async def test_cancelled_loop_loses_nothing_of_what_follows(served: Served) -> None:
    async with migctl.Subscriber(url(served)) as subscriber:
        await subscriber.ready()
        for _ in range(3):
            task = asyncio.create_task(seqs(subscriber, 1))
            await until(lambda: subscriber.merge.top is not None)
            task.cancel()
            await asyncio.wait({task})
        await served.journal.append([event() for _ in range(5)])
        assert await seqs(subscriber, 5) == [1, 2, 3, 4, 5]


async def test_two_loops_at_once_are_an_error_that_says_so_and_the_first_goes_on(served: Served) -> None:
    async with migctl.Subscriber(url(served)) as subscriber:
        await subscriber.ready()
        first = asyncio.create_task(seqs(subscriber, 2))
        await asyncio.sleep(0)
        with pytest.raises(Usage, match="iterated twice at once"):
            await seqs(subscriber, 1)
        with pytest.raises(Usage, match="iterated twice at once"):
            await anext(subscriber.batches())
        await served.journal.append([event(), event()])
        assert await first == [1, 2]


async def test_loop_that_another_took_over_from_is_told_when_it_asks_again(served: Served) -> None:
    await served.journal.append([event() for _ in range(4)])
    async with migctl.Subscriber(url(served), position=Position(served.journal.epoch, 0)) as subscriber:
        one, two = aiter(subscriber), aiter(subscriber)
        await anext(one)
        await anext(two)
        with pytest.raises(Usage, match="iterated twice"):
            await anext(one)
        await anext(two)
        assert subscriber.position == Position(served.journal.epoch, 3)


async def test_use_outside_its_block_is_an_error_or_an_end(served: Served) -> None:
    subscriber = migctl.Subscriber(url(served))
    for use in (subscriber.__aiter__, subscriber.batches):
        with pytest.raises(Usage, match="not entered"):
            use()
    with pytest.raises(Usage, match="not entered"):
        await subscriber.ready()
    async with subscriber:
        await subscriber.ready()
    assert [item async for item in subscriber] == []
    with pytest.raises(Usage, match="used before"):
        await subscriber.__aenter__()


async def test_block_that_is_left_before_it_was_ready_tells_who_waits_for_that() -> None:
    async with migctl.Subscriber(f"http://127.0.0.1:{any_free_port()}") as subscriber:
        waiting = asyncio.create_task(subscriber.ready())
        await asyncio.sleep(0)
    with pytest.raises(Transient, match="closed before it was ready"):
        await waiting


async def test_server_that_is_not_there_ends_the_loop_with_its_address() -> None:
    address = f"http://127.0.0.1:{any_free_port()}"
    async with migctl.Subscriber(address, wait_s=0.3) as events:
        with pytest.raises(Transient, match=address) as told:
            async for _ in events:
                pass
    assert "migctl serve" in told.value.do


@pytest.mark.parametrize("presented", [None, "unknown", "of another purpose"])
async def test_wrong_token_ends_the_loop_and_says_what_is_needed(
    tmp_path: Path, presented: str | None
) -> None:
    good, entry = mint_token("subscribe", "reader")
    other, another = mint_token("ingest", "writer")
    async with serving(tmp_path, tokens=Tokens((entry, another))) as served:
        token = other if presented == "of another purpose" else presented
        async with migctl.Subscriber(url(served), token=token) as events:
            with pytest.raises(Systemic) as told:
                async for _ in events:
                    pass
        assert "subscrib" in told.value.do
        async with migctl.Subscriber(url(served), token=good) as events:
            assert await events.ready() == Position(served.journal.epoch, 0)


async def test_slow_application_costs_bounded_memory_no_event_and_one_line_in_the_log(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    bound = 1 << 18
    merge = Merge(max_buffer_bytes=bound)
    async with migctl.Subscriber(url(served), merge=merge) as subscriber:
        await subscriber.ready()
        data = json.dumps({"filler": "x" * 20_000}).encode()
        for _ in range(6):
            await served.journal.append([event(data) for _ in range(50)])
        await until(lambda: merge.bytes > bound - 30_000)
        assert merge.bytes <= bound
        async with asyncio.timeout(30):
            assert await seqs(subscriber, 300) == list(range(1, 301))
        assert merge.bytes <= bound
    assert caplog.text.count("slower than the stream") == 1


async def test_position_of_a_journal_that_nobody_knows_is_a_discontinuity(
    target: Target, journal: SqliteJournal, tables: Tables
) -> None:
    """With the tables beside the gateway its row could be about to be made: that is waited for, for a time."""
    async with deployed(journal, target, assigned="websocket") as server:
        await journal.append([event() for _ in range(3)])
        await until(lambda: at(tables, journal))
        async with (
            migctl.Subscriber(server.url, position=Position("nobody's", 7), patience_s=1.0) as subscriber,
            receiving(subscriber) as received,
        ):
            await received.count(3)
            await journal.append([event()])
            await received.count(4)
    assert [(gap.after, gap.reason) for gap in received.gaps] == [(Position("nobody's", 7), "epoch")]
    assert received.seqs == [1, 2, 3, 4]


async def at(tables: Tables, journal: SqliteJournal) -> bool:
    heads = await tables.heads()
    return bool(heads) and heads[-1][1] == journal.head
