"""The tail: the newest events, bounded, and what is searched for is found though it was passed over. On a real journal."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from aiohttp import web

from migctl import server
from migctl.events import make_event
from migctl.journal.sqlite import SqliteJournal
from migctl.server.access.guard import guard
from migctl.server.access.rules import Rules
from migctl.server.access.tokens import Tokens, mint_token
from migctl.server.routes import tail
from migctl.server.routes.tail import Reader, TailLine, tail_routes
from tests.kit.entries import START
from tests.kit.served import event


async def put(journal: SqliteJournal, count: int, *, kind: str = "cpu") -> None:
    await journal.append([event(b'{"n":%d}' % one, event_type=kind) for one in range(count)])


def seqs(line: TailLine) -> list[int]:
    return [one.seq for one in line.events]


async def test_a_page_begins_with_the_newest_and_goes_on_where_it_was(journal: SqliteJournal) -> None:
    await put(journal, 30)
    reader = Reader(journal, "", limit=10)
    reader.begin(None)
    assert seqs(await reader.next()) == list(range(21, 31))
    assert seqs(await reader.next()) == []
    await put(journal, 3)
    line = await reader.next()
    assert (seqs(line), line.head, line.searched, line.passed_over) == ([31, 32, 33], 33, 3, 0)
    resumed = Reader(journal, "", limit=10)
    resumed.begin((journal.epoch, 31))
    assert seqs(await resumed.next()) == [32, 33]


async def test_an_event_is_found_and_shown_by_its_producers_own_id(journal: SqliteJournal) -> None:
    made = make_event(
        id="Order-7",
        event_type="cpu",
        timestamp=None,
        source="h",
        data=b"{}",
        arrived=START,
        default_source="h",
    )
    await put(journal, 3)
    await journal.append([made])
    reader = Reader(journal, "order-7", limit=10)
    reader.begin(None)
    [found] = (await reader.next()).events
    assert (found.seq, found.id, found.source_id) == (4, made.id, "Order-7")


async def test_who_comes_back_is_given_all_since_in_several_lines_and_then_goes_on(
    journal: SqliteJournal,
) -> None:
    await put(journal, 30)
    reader = Reader(journal, "", limit=10)
    reader.begin((journal.epoch, 7))
    await put(journal, 15)  # after it began: no more than a line of these
    lines = [await reader.next() for _ in range(4)]
    assert [seqs(line) for line in lines] == [
        list(range(8, 18)), list(range(18, 28)), list(range(28, 31)), list(range(36, 46)),
    ]  # fmt: skip
    assert [line.head for line in lines] == [17, 27, 30, 45]
    assert [line.passed_over for line in lines] == [0, 0, 0, 5]
    assert sum(line.searched for line in lines) == 38


async def test_who_was_away_for_longer_begins_with_the_newest_and_is_told_what_was_passed_over(
    journal: SqliteJournal,
) -> None:
    await put(journal, 10 * tail.MOST_LINES_BEHIND + 1)
    reader = Reader(journal, "", limit=10)
    reader.begin((journal.epoch, 0))
    line = await reader.next()
    assert (len(line.events), line.passed_over) == (10, line.head - 10)
    whole = Reader(journal, "", limit=10)
    whole.begin((journal.epoch, 1))
    assert (await whole.next()).passed_over == 0


async def test_a_line_is_bounded_and_counts_what_it_passed_over(journal: SqliteJournal) -> None:
    reader = Reader(journal, "", limit=10)
    reader.begin(None)
    await put(journal, 2500)
    line = await reader.next()
    assert seqs(line) == list(range(2491, 2501))
    assert (line.searched, line.passed_over) == (2500, 2490)
    assert seqs(await reader.next()) == []


class Clock:
    """Monotonic, moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def held_up(journal: SqliteJournal, needle: str = "") -> tuple[Reader, Clock]:
    """A reader of lines of ten that had all, and is five lines late."""
    clock = Clock()
    reader = Reader(journal, needle, limit=10, mono=clock)
    reader.begin(None)
    await reader.next()
    clock.now += 1.3
    return reader, clock


async def test_what_a_stall_held_back_follows_in_the_lines_that_it_was_late_by(
    journal: SqliteJournal,
) -> None:
    reader, _ = await held_up(journal)
    await put(journal, 50)
    lines = [await reader.next() for _ in range(6)]
    assert [seqs(line) for line in lines] == [
        *(list(range(first, first + 10)) for first in range(1, 51, 10)),
        [],
    ]
    assert [line.passed_over for line in lines] == [0] * 6
    assert sum(line.searched for line in lines) == 50


async def test_what_is_too_much_for_its_time_is_passed_over_however_long_the_stall(
    journal: SqliteJournal,
) -> None:
    reader, clock = await held_up(journal)
    await put(journal, 51)
    line = await reader.next()
    assert (seqs(line), line.passed_over) == (list(range(42, 52)), 41)
    # Nor is any stall owed more than who was away.
    clock.now += 3600
    await put(journal, 10 * tail.MOST_LINES_BEHIND + 1)
    assert (await reader.next()).passed_over == 10 * tail.MOST_LINES_BEHIND - 9


async def test_a_search_that_stalls_has_all_that_matched_too(journal: SqliteJournal) -> None:
    reader, _ = await held_up(journal, "disk")
    for _ in range(2):
        await put(journal, 8)
        await put(journal, 8, kind="disk")
    lines = [await reader.next() for _ in range(5)]
    assert [one for line in lines for one in seqs(line)] == [*range(9, 17), *range(25, 33)]
    assert [(line.searched, line.passed_over) for line in lines] == [(10, 0)] * 3 + [(2, 0), (0, 0)]


async def test_who_was_away_for_too_long_is_told_how_much_was_not_searched(
    journal: SqliteJournal,
) -> None:
    reader = Reader(journal, "", limit=10, most_searched=100)
    reader.begin(None)
    await put(journal, 500)
    line = await reader.next()
    assert (seqs(line), line.searched, line.passed_over) == (list(range(491, 501)), 500, 490)


@pytest.mark.parametrize("of", ["type", "id", "source", "data"])
async def test_what_is_searched_for_is_found_in_all_that_came(journal: SqliteJournal, of: str) -> None:
    await put(journal, 600)
    wanted = event(b'{"Mount":"/var"}', event_type="disk.FULL", source="edge-7")
    await journal.append([wanted])
    await put(journal, 600)
    needle = {
        "type": "Disk.full",
        "id": wanted.id[:-1],
        "source": "EDGE-7",
        "data": '"mount":"/VAR"',
    }[of]
    reader = Reader(journal, needle, limit=100)
    reader.begin(None)
    line = await reader.next()
    assert (line.searched, seqs(line), line.passed_over) == (1201, [601], 0)


async def test_a_search_that_matches_nothing_shows_nothing_and_passes_nothing_over(
    journal: SqliteJournal,
) -> None:
    await put(journal, 50)
    reader = Reader(journal, "no such thing", limit=10)
    reader.begin(None)
    line = await reader.next()
    assert (seqs(line), line.searched, line.passed_over) == ([], 50, 0)


async def test_a_large_event_is_cut_and_its_size_is_known(journal: SqliteJournal) -> None:
    text = ('{"x":"' + "ä" * 50_000 + '"}').encode()
    await journal.append([event(text)])
    reader = Reader(journal, "", limit=10)
    reader.begin(None)
    (one,) = (await reader.next()).events
    assert (len(one.text), one.bytes) == (tail.MOST_CHARS, len(text))


async def test_a_new_epoch_is_read_from_its_beginning(journal: SqliteJournal) -> None:
    await put(journal, 5)
    reader = Reader(journal, "", limit=10)
    reader.begin((journal.epoch, 5))
    await journal.rotate_epoch(journal.epoch, lost=None, reason="a test")
    await put(journal, 2)
    line = await reader.next()
    assert (line.epoch, seqs(line)) == (journal.epoch, [1, 2])
    # Who comes with a position of the old one begins with the newest.
    late = Reader(journal, "", limit=10)
    late.begin(("another", 5))
    assert seqs(await late.next()) == [1, 2]


TEXT, TOKEN = mint_token("subscribe", "ada")


@pytest.fixture
async def http(journal: SqliteJournal) -> AsyncIterator[tuple[httpx.AsyncClient, list[str | None]]]:
    ending: list[str | None] = [None]
    app = web.Application(middlewares=[guard(Rules(tokens=Tokens((TOKEN,))), Counter())])
    app.add_routes(tail_routes(journal, lambda: ending[0], most_open=2))
    async with (
        server.listening(app, "127.0.0.1", 0, shutdown_s=0.2) as listener,
        httpx.AsyncClient(base_url=listener.url, timeout=30.0, trust_env=False) as client,
    ):
        yield client, ending


async def test_it_streams_what_comes_and_ends_with_its_serve(
    http: tuple[httpx.AsyncClient, list[str | None]], journal: SqliteJournal
) -> None:
    client, ending = http
    await put(journal, 2)
    headers = {"Authorization": f"Bearer {TEXT}"}
    async with asyncio.timeout(30), client.stream("GET", "/api/tail", headers=headers) as answer:
        lines = answer.aiter_lines()
        assert [one["seq"] for one in json.loads(await anext(lines))["events"]] == [1, 2]
        await put(journal, 1)
        assert [one["seq"] for one in json.loads(await anext(lines))["events"]] == [3]
        ending[0] = "draining"
        assert [line async for line in lines] == []


async def test_only_who_may_subscribe_reads_it_and_a_bad_position_is_refused(
    http: tuple[httpx.AsyncClient, list[str | None]],
) -> None:
    client, _ = http
    assert (await client.get("/api/tail")).status_code == 401
    headers = {"Authorization": f"Bearer {TEXT}"}
    for query in ("after=1", "epoch=e", "epoch=e&after=x", "limit=-1"):
        answer = await client.get(f"/api/tail?{query}", headers=headers)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "value"), query


async def test_so_many_pages_and_no_more(
    http: tuple[httpx.AsyncClient, list[str | None]],
) -> None:
    client, _ = http
    headers = {"Authorization": f"Bearer {TEXT}"}
    async with AsyncExitStack() as stack:
        for _ in range(2):
            first = await stack.enter_async_context(client.stream("GET", "/api/tail", headers=headers))
            await anext(first.aiter_lines())
        refused = await client.get("/api/tail", headers=headers)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    async with asyncio.timeout(30):
        while True:  # the one that left is noticed with the next line
            async with client.stream("GET", "/api/tail", headers=headers) as again:
                if again.status_code == 200:
                    break
