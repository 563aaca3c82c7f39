"""The witness's parts, each against what it speaks to: the record behind a stand-in, a webhook, a `serve`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from migctl import clock
from migctl.config import Target
from migctl.flags.record import Record
from migctl.serve_client import ServeHttp
from migctl.stack.launcher import any_free_port
from migctl.validate.witness.alerting import Webhook
from migctl.validate.witness.minute import Minute
from migctl.validate.witness.state import Kept
from migctl.validate.witness.tail import Tail
from migctl.validate.witness.trouble import Alert
from migctl.validate.witness.windows import Limits, Windows
from migctl.validate.witness.writing import Writing
from tests.kit.conditions import until
from tests.kit.served import event, serving
from tests.kit.witnessing import at


def minute(number: int, **more: object) -> Minute:
    made = Minute(
        id=f"m{number}", started_at=at(60 * number), epoch="E1", first_seq=1, last_seq=9, sha256="0" * 64
    )
    return msgspec.structs.replace(made, **more)


@contextlib.asynccontextmanager
async def running(work: Awaitable[None]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.fixture
async def record(standin: Target) -> AsyncIterator[Record]:
    record = Record(standin, "public", "t")
    yield record
    await record.aclose()


def nothing() -> None:
    pass


async def test_one_witness_writes_and_another_stands_by(record: Record, tmp_path: Path) -> None:
    kept = {name: Kept(tmp_path / name) for name in ("a", "b")}
    for name in kept:
        (tmp_path / name).mkdir()
    first, second = (Writing(record, kept[name], name, nothing) for name in kept)
    first.add(minute(0))
    await first.round()
    assert len(kept["a"]) == 0
    await second.round()
    second.add(minute(1))
    await second.round()
    assert second.standby
    assert "a is the witness" in str(second.unwritten)
    assert [each.id async for each in record.minutes(Minute, since=at(-1).isoformat())] == ["m0"]


async def test_of_two_windows_for_one_minute_the_worse_is_kept(record: Record, tmp_path: Path) -> None:
    writing = Writing(record, Kept(tmp_path), "a", nothing)
    for verdict in ("pass", "inconclusive", "pass"):
        writing.add(minute(0, verdict=verdict, markers={"E1/7": ["realtime", "websocket"]}))
        await writing.round()
    (kept,) = [each async for each in record.minutes(Minute, since=at(-1).isoformat())]
    assert kept.verdict == "inconclusive"
    assert kept.markers == {"E1/7": ["realtime", "websocket"]}


@contextlib.asynccontextmanager
async def hooked(answer: Callable[[int], int]) -> AsyncIterator[tuple[str, list[int]]]:
    """A webhook that answers its n-th request with this status; the statuses that it gave."""
    given: list[int] = []

    async def take(_: web.Request) -> web.Response:
        given.append(answer(len(given)))
        return web.Response(status=given[-1])

    app = web.Application()
    app.router.add_post("/secret", take)
    runner = web.AppRunner(app)
    await runner.setup()
    port = any_free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}/secret", given
    finally:
        await runner.cleanup()


ALERT = Alert(status="raised", reason="realtime is away", since=at(0), window=minute(0))


async def test_an_alert_that_a_webhook_refuses_is_sent_again_until_it_is_taken_and_then_no_more() -> None:
    async with hooked(lambda number: 503 if number < 2 else 204) as (url, given):
        webhook = Webhook(url)
        async with running(webhook.run()):
            webhook.send(ALERT)
            await until(lambda: len(given) == 3)
            webhook.send(ALERT)
            await until(lambda: len(given) == 4)
    assert given == [503, 503, 204, 204]


async def test_a_webhook_that_is_not_there_ends_nothing() -> None:
    webhook = Webhook(f"http://127.0.0.1:{any_free_port()}/secret")
    async with running(webhook.run()):
        for _ in range(200):
            webhook.send(ALERT)
        await asyncio.sleep(0)


async def test_the_tail_reads_what_is_committed_and_does_not_count_its_own_requests(tmp_path: Path) -> None:
    limits = Limits(window_s=0.5, grace_s=2.5)
    windows, found = Windows(clock.now(), limits), list[Minute]()

    async def closed(least: int) -> bool:
        found.extend(windows.tick(clock.now()))
        return sum(each.expected for each in found) >= least

    async with serving(tmp_path) as served:
        http = ServeHttp(served.url)
        try:
            async with running(Tail(http, windows).run()):
                # The window in which the witness began, and what came before it read the journal, is none of its own.
                await until(lambda: windows.journal_is_read)
                begin = clock.now() + timedelta(seconds=limits.window_s)
                await until(lambda: clock.now() > begin)
                for _ in range(3):
                    await served.journal.append([event(), event()])
                await until(lambda: closed(6))
        finally:
            await http.aclose()
    assert sum(each.expected for each in found) == 6
    assert sum(each.lost for each in found) == 6
    assert {each.reason for each in found if each.expected} == {
        "websocket was not reached yet: it did not answer yet"
    }
    assert sum(each.requests for each in found) == 0


@pytest.mark.slow
async def test_the_tail_goes_over_to_a_new_epoch_and_its_window_is_no_evidence(tmp_path: Path) -> None:
    limits = Limits(window_s=0.5, grace_s=2.5)
    windows, found = Windows(clock.now(), limits), list[Minute]()

    async def closed(least: int) -> bool:
        found.extend(windows.tick(clock.now()))
        return sum(each.expected for each in found) >= least

    async with serving(tmp_path) as served:
        http = ServeHttp(served.url)
        try:
            async with running(Tail(http, windows).run()):
                await until(lambda: windows.journal_is_read)
                begin = clock.now() + timedelta(seconds=limits.window_s)
                await until(lambda: clock.now() > begin)
                await served.journal.append([event()])
                old = served.journal.epoch
                await until(lambda: closed(1))
                new = (await served.journal.rotate_epoch(old, lost=None, reason="a test")).epoch
                await served.journal.append([event(), event()])
                await until(lambda: closed(3))
        finally:
            await http.aclose()
    epochs = [each.epoch for each in found if each.expected]
    assert (epochs[0], set(epochs)) == (old, {old, new})
    assert "the journal began a new epoch" in {each.reason for each in found}
    assert not [each for each in found if each.counts]
