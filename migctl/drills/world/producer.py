"""A producer that loses nothing: posts events at a rate, each until it is acknowledged, and writes down what was.

A process of `deployment`. Open loop: an event is sent when its time has come, whatever became of those before; while serve is away
the schedule stands still.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import aiohttp
import msgspec
import uvloop

TIMEOUT_S = 5.0
AGAIN_S = 0.05
# What serve answers when it may take the same event a moment later.
LATER = (429, 500, 502, 503, 504)
TYPES = ("cpu", "memory", "page_cache", "disk", "health")


class Posted(msgspec.Struct):
    """An event as it is posted. data holds the event's id too, for subscribers of the old protocol, who get nothing else."""

    id: str
    event_type: str
    source: str
    data: dict[str, object]
    timestamp: str | msgspec.UnsetType = msgspec.UNSET


class Acknowledged(msgspec.Struct):
    """A line of what was acknowledged. at: unix seconds."""

    ids: list[str]
    tries: int
    at: float


class Recorded(msgspec.Struct):
    """What is taken of a recorded event; the rest of it is made anew, since it is published again."""

    event_type: str
    data: dict[str, object]
    source: str = "recording"


def make(number: int, worker: int) -> Posted:
    """About 300 bytes of data, in five types."""
    event_id = str(uuid4())
    data: dict[str, object] = {"number": number, "worker": worker, "value": number / 8, "note": "x" * 200}
    return Posted(event_id, TYPES[number % len(TYPES)], f"host-{worker}", {**data, "event": event_id})


def recorded(path: Path) -> Iterator[Posted]:
    """Events of a recording, over and over, each with an id of its own. Raises ValueError where there is none."""
    decode = msgspec.json.Decoder(Recorded).decode
    events = [decode(line) for line in path.read_bytes().splitlines() if line.strip()]
    if not events:
        raise ValueError(f"{path}: no event")
    for one in itertools.cycle(events):
        event_id = str(uuid4())
        yield Posted(event_id, one.event_type, one.source, {**one.data, "event": event_id})


async def work(
    worker: int,
    options: argparse.Namespace,
    http: aiohttp.ClientSession,
    out: BinaryIO,
    stop: asyncio.Event,
    stream: Iterator[Posted] | None,
) -> None:
    apart = options.workers * options.batch / options.rate
    began = time.monotonic()
    due = began + apart * worker / options.workers
    number = 0
    while not stop.is_set() and (options.seconds is None or due < began + options.seconds):
        wait = due - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        if wait < -1.0:  # serve was away: what could not be sent is not made up for
            due = time.monotonic()
        events = [
            next(stream) if stream is not None else make(number + offset, worker)
            for offset in range(options.batch)
        ]
        number += options.batch
        tries = await publish(http, options.url, events)
        line = Acknowledged([event.id for event in events], tries, time.time())
        out.write(msgspec.json.encode(line) + b"\n")
        out.flush()
        due += apart


async def publish(http: aiohttp.ClientSession, url: str, events: list[Posted]) -> int:
    """Post until it is acknowledged; how many times that took. A refusal is a mistake of ours and ends us."""
    body = msgspec.json.encode(events)
    headers = {"Content-Type": "application/json"}
    tries = 0
    while True:
        tries += 1
        try:
            async with http.post(f"{url}/events", data=body, headers=headers) as answer:
                if answer.status == 201:
                    await answer.read()
                    return tries
                if answer.status not in LATER:
                    raise RuntimeError(f"refused: {answer.status} {await answer.text()}")
        except (aiohttp.ClientError, TimeoutError):
            pass
        await asyncio.sleep(AGAIN_S)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--rate", type=float, required=True, help="events/s, all workers together")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--batch", type=int, default=1, help="events a request")
    parser.add_argument("--recording", type=Path, help="NDJSON of recorded events")
    options = parser.parse_args()
    stream = recorded(options.recording) if options.recording is not None else None
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    with options.out.open("ab") as out:
        async with aiohttp.ClientSession(timeout=timeout) as http, asyncio.TaskGroup() as group:
            for worker in range(options.workers):
                group.create_task(work(worker, options, http, out, stop, stream))


if __name__ == "__main__":
    uvloop.run(main())
