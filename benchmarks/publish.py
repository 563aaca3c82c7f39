"""Acknowledged events/s of `migctl.Publisher`, over what the journal and the endpoint can do at most, in the same run.

    ./dev run python benchmarks/publish.py [--events 40000] [--rounds 3] [--profile url|journal]

Two raw limits. For `url`: aiohttp posts prebuilt batches of 2,000 to a real `serve` in a process of its own, one at a time. For
`journal`: prebuilt rows written by plain group commits of 2,000. The publisher gets the same data as dicts, one `publish` an event
from 1,000 coroutines, so it also makes ids, checks and encodes. Rates are noisy; the ratios are what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from migctl import Publisher
from migctl.clock import now
from migctl.events import Event, make_event
from migctl.events.codec import encode_event
from migctl.events.jsontext import dumps
from migctl.journal.sqlite.layout import connect
from migctl.journal.sqlite.rows import INSERT, TABLES, to_rows
from tests.kit.serve_process import serving_process

GROUP = 2000
PRODUCERS = 1000


def documents(count: int) -> list[dict[str, Any]]:
    return [{"number": number, "pad": "x" * 400} for number in range(count)]


def built(data: list[dict[str, Any]]) -> list[Event]:
    moment = now()
    return [
        make_event(
            id=None,
            event_type="cache_metrics",
            timestamp=moment,
            source="bench",
            data=dumps(one),
            arrived=moment,
            default_source="bench",
        )
        for one in data
    ]


def raw_commits(path: Path, events: list[Event]) -> float:
    """Events/s of plain group commits."""
    database = connect(str(path))
    for statement in TABLES.split(";"):
        database.execute(statement)
    started = time.perf_counter()
    for first in range(0, len(events), GROUP):
        database.execute("BEGIN IMMEDIATE")
        database.executemany(INSERT, to_rows(events[first : first + GROUP], first + 1, 1))
        database.execute("COMMIT")
    taken = time.perf_counter() - started
    database.close()
    return len(events) / taken


async def raw_posts(url: str, events: list[Event]) -> float:
    """Events/s of prebuilt bodies, one request at a time."""
    bodies = [
        b"[%b]" % b",".join([encode_event(event) for event in events[first : first + GROUP]])
        for first in range(0, len(events), GROUP)
    ]
    async with aiohttp.ClientSession() as http:
        started = time.perf_counter()
        for body in bodies:
            async with http.post(
                f"{url}/events", data=body, headers={"Content-Type": "application/json"}
            ) as answer:
                assert answer.status == 201, await answer.text()
                await answer.read()
        return len(events) / (time.perf_counter() - started)


async def published(publisher: Publisher, data: list[dict[str, Any]], profile: bool) -> float:
    """Events/s of one `publish` each, from many coroutines."""

    async def produce(first: int) -> None:
        for one in data[first::PRODUCERS]:
            await publisher.publish("cache_metrics", one)

    async with publisher:
        seen = cProfile.Profile()
        if profile:
            seen.enable()
        started = time.perf_counter()
        await asyncio.gather(*(produce(first) for first in range(PRODUCERS)))
        taken = time.perf_counter() - started
        if profile:
            seen.disable()
            pstats.Stats(seen).sort_stats("tottime").print_stats(25)
    return len(data) / taken


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", choices=("url", "journal"))
    options = parser.parse_args()
    ratios: dict[str, list[float]] = {"url": [], "journal": []}
    for number in range(options.rounds):
        data = documents(options.events)
        # On a disk, not in memory: the fsync is part of what is measured.
        with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name:
            folder = Path(name)
            with serving_process(folder / "serve", "--mode", "websocket", "--log-level", "warning") as serve:
                limit = uvloop.run(raw_posts(serve.url, built(data)))
                rate = uvloop.run(published(Publisher(serve.url), data, options.profile == "url"))
            ratios["url"].append(rate / limit)
            commits = raw_commits(folder / "raw.db", built(data))
            own = uvloop.run(
                published(Publisher(journal=folder / "journal.db"), data, options.profile == "journal")
            )
            ratios["journal"].append(own / commits)
        print(
            f"round {number + 1}: posts {limit:8,.0f}/s   url {rate:8,.0f}/s   ratio {ratios['url'][-1]:.2f}"
            f"   |   commits {commits:8,.0f}/s   journal {own:8,.0f}/s   ratio {ratios['journal'][-1]:.2f}"
        )
    for mode, of in (("url", "aiohttp posting prebuilt batches"), ("journal", "raw group commits")):
        print(f"Publisher({mode}) / {of} of {GROUP}: {statistics.median(ratios[mode]):.2f} (median)")


if __name__ == "__main__":
    main()
