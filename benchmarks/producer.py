"""A producer that loses nothing: posts events at a rate, each until it is acknowledged, and notes what was.

A process of `deployment`. Open loop: an event is sent when its time has come, whatever became of those before; while serve is away
the schedule stands still.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from pathlib import Path
from typing import Any, TextIO
from uuid import uuid4

import aiohttp

TIMEOUT_S = 5.0
AGAIN_S = 0.05


def make(number: int, worker: int) -> dict[str, Any]:
    """About 300 bytes of data, in five types."""
    return {
        "id": str(uuid4()),
        "event_type": ("cpu", "memory", "page_cache", "disk", "health")[number % 5],
        "source": f"host-{worker}",
        "data": {"number": number, "worker": worker, "value": number / 8, "note": "x" * 200},
    }


async def work(
    worker: int, options: argparse.Namespace, http: aiohttp.ClientSession, out: TextIO, stop: asyncio.Event
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
        events = [make(number + offset, worker) for offset in range(options.batch)]
        number += options.batch
        tries, said = await publish(http, options.url, events)
        line = {"ids": [event["id"] for event in events], "tries": tries, "at": time.time(), **said}
        out.write(json.dumps(line) + "\n")
        out.flush()
        due += apart


async def publish(
    http: aiohttp.ClientSession, url: str, events: list[dict[str, Any]]
) -> tuple[int, dict[str, Any]]:
    """Post until it is acknowledged; how many times that took, and the answer. A refusal is a mistake of ours and ends us."""
    tries = 0
    while True:
        tries += 1
        try:
            async with http.post(f"{url}/events", json=events) as answer:
                if answer.status == 201:
                    return tries, await answer.json()
                if answer.status not in (429, 500, 502, 503, 504):
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
    options = parser.parse_args()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    with options.out.open("a") as out:
        async with aiohttp.ClientSession(timeout=timeout) as http, asyncio.TaskGroup() as group:
            for worker in range(options.workers):
                group.create_task(work(worker, options, http, out, stop))


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
