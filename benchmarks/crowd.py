"""Many subscribers in one process, each writing down what it is handed out. A process of `moving`.

Each migctl.Subscriber has a user of its own and goes where the flag sends it; each official client stays on Realtime. Beside the
captures, `moves.ndjson` has a line whenever one is attached to other transports than before.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from migctl import telemetry
from migctl.subscriber.realtime.subscriber import RealtimeSubscriber
from migctl.subscriber.subscriber import Subscriber
from migctl.target.tokens import mint
from migctl.validate.capture import Capture, Until
from migctl.validate.capture_file import CaptureFile

WAIT_S = 60.0
DRAIN_S = 30.0
SAMPLE_S = 0.02
# So that they do not all join at once.
APART_S = 0.05


class Move(msgspec.Struct):
    """at: seconds of the wall clock."""

    user: str
    at: float
    attached: list[str]


def official(_: str) -> RealtimeSubscriber:
    secret = os.environ["SUPABASE_JWT_SECRET"]

    async def access_token() -> str:
        return mint(secret, "authenticated", 3600.0)

    return RealtimeSubscriber(
        os.environ["SUPABASE_URL"], os.environ["SUPABASE_ANON_KEY"], access_token, wait_s=WAIT_S
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--users", required=True, nargs="*")
    parser.add_argument("--official", action="store_true")
    options = parser.parse_args()
    telemetry.configure(level="warning")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    readers: dict[str, Any] = {}
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        watching = group.create_task(watch(readers, options.out / "moves.ndjson"))
        captures = []
        for user in options.users:
            made = official(user) if options.official else Subscriber(options.url, user=user, wait_s=WAIT_S)
            reader = await stack.enter_async_context(made)
            file = CaptureFile(options.out / user, "dual")
            file.check(force=False)
            capture = Capture(reader, "dual", "crowd", file, Until(drain_s=DRAIN_S))
            captures.append(group.create_task(capture.run(stop)))
            readers[user] = reader
            await asyncio.sleep(APART_S)
        print("ready: all", flush=True)
        await asyncio.gather(*captures)
        watching.cancel()


async def watch(readers: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    before: dict[str, frozenset[str]] = {}
    with path.open("wb", buffering=0) as file:
        while True:
            for user, reader in list(readers.items()):
                attached = reader.attached if isinstance(reader, Subscriber) else frozenset()
                if attached != before.get(user):
                    before[user] = attached
                    file.write(msgspec.json.encode(Move(user, time.time(), sorted(attached))) + b"\n")
            await asyncio.sleep(SAMPLE_S)


if __name__ == "__main__":
    uvloop.run(main())
