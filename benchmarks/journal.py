"""Acknowledged events/s of the journal at 100 concurrent producers, over raw SQLite group commits in the same run.

    ./dev run python benchmarks/journal.py [--events 40000] [--rounds 3]

The raw limit writes the same rows to the same table with the same settings (WAL, synchronous=FULL, unique id), 100 rows a commit,
from one thread that does nothing else. The journal answers each producer singly, after the fsync of its group. Both get the same
events, already built. Aim: a ratio of 0.5 and more. Rates are noisy; the ratio is what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import uvloop

from migctl.clock import now
from migctl.events import Event, make_event
from migctl.journal.sqlite import SqliteJournal
from migctl.journal.sqlite.layout import connect
from migctl.journal.sqlite.rows import INSERT, TABLES, to_rows

PRODUCERS = 100


def make(count: int) -> list[Event]:
    moment = now()
    pad = b"x" * 400
    return [
        make_event(
            id=None,
            event_type="cache_metrics",
            timestamp=moment,
            source="bench",
            data=b'{"number":%d,"pad":"%b"}' % (number, pad),
            arrived=moment,
            default_source="bench",
        )
        for number in range(count)
    ]


def raw(path: Path, events: list[Event], group: int) -> float:
    """Events/s of plain group commits."""
    database = connect(str(path))
    for statement in TABLES.split(";"):
        database.execute(statement)
    started = time.perf_counter()
    for first in range(0, len(events), group):
        database.execute("BEGIN IMMEDIATE")
        database.executemany(INSERT, to_rows(events[first : first + group], first + 1, 1))
        database.execute("COMMIT")
    taken = time.perf_counter() - started
    database.close()
    return len(events) / taken


async def ours(path: Path, events: list[Event]) -> float:
    """Acknowledged events/s of the journal, each event a request of its own."""
    journal = await SqliteJournal.open(path)

    async def produce(first: int) -> None:
        for event in events[first::PRODUCERS]:
            await journal.append([event])

    started = time.perf_counter()
    await asyncio.gather(*(produce(first) for first in range(PRODUCERS)))
    taken = time.perf_counter() - started
    assert journal.head == len(events)
    await journal.aclose()
    return len(events) / taken


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ratios = []
    for number in range(options.rounds):
        events = make(options.events)
        # On a disk, not in memory: the fsync is what is measured.
        with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
            limit = raw(Path(folder, "raw.db"), events, PRODUCERS)
            rate = uvloop.run(ours(Path(folder, "journal.db"), events))
        ratios.append(rate / limit)
        print(f"round {number + 1}: raw {limit:9,.0f}/s   journal {rate:9,.0f}/s   ratio {rate / limit:.2f}")
    print(f"journal / raw group commits of {PRODUCERS}: {statistics.median(ratios):.2f} (median; aim 0.5)")


if __name__ == "__main__":
    main()
