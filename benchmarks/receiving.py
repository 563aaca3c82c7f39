"""What one event costs one subscriber, in CPU time, over what a bare socket and a typed decoder take for the same frames.

    ./dev run python benchmarks/receiving.py [--subscribers 20] [--rate 200] [--seconds 10] [--output json]

A stack, `serve` and a producer, and one process for each way to receive, those of one transport at once and from the same stream:

| way         | what receives                                                                        |
|-------------|--------------------------------------------------------------------------------------|
| `socket`    | the raw limit: `websockets` on the gateway's `/ws?v=2`, and msgspec                    |
| `websocket` | `migctl.Subscriber` that is assigned the WebSocket                                    |
| `broadcast` | the raw limit: `websockets` on the Realtime channel, and msgspec                       |
| `realtime`  | `migctl.Subscriber` that is assigned Realtime                                         |
| `official`  | `RealtimeSubscriber`, which leaves each frame to the official client, as captures do   |

Microseconds are those of the process, user and system, over the events that its subscribers were handed out. Exit 1 where
`migctl.Subscriber` costs more than `--most` times its raw limit on either transport.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from migctl.drills.world.deployment import Assigned, Deployment, deployed
from migctl.stack.launcher import Child

WAYS: dict[Assigned, tuple[str, ...]] = {
    "websocket": ("socket", "websocket"),
    "realtime": ("broadcast", "realtime", "official"),
}
LIMIT_OF = {"websocket": "socket", "realtime": "broadcast"}
WARM_S = 3.0
OPEN_S = 60.0


# One process: subscribers of one way. It says where it is at SIGUSR1, and ends at SIGTERM.


class Event(msgspec.Struct):
    """An event frame of the gateway, typed as far as a reader needs it."""

    type: str
    data: msgspec.Raw
    timestamp: str
    id: str | None = None
    seq: int | None = None
    source: str | None = None
    committed_at: str | None = None


class Hinted(msgspec.Struct):
    id: str
    seq: int
    event_type: str | None = None
    timestamp: str | None = None
    source: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")
    committed_at: str | None = None


class Hint(msgspec.Struct):
    epoch: str = ""
    events: list[Hinted] = []


class Broadcast(msgspec.Struct):
    event: str = ""
    payload: Hint = msgspec.field(default_factory=Hint)


class Frame(msgspec.Struct):
    event: str
    payload: msgspec.Raw


Count = Callable[[int], None]


async def socket(options: argparse.Namespace, count: Count, ready: Callable[[], None]) -> None:
    from websockets.asyncio.client import connect

    decode = msgspec.json.Decoder(Event).decode
    url = options.url.replace("http", "ws", 1) + "/ws?v=2"
    async with connect(url, compression=None, ping_interval=None, proxy=None) as connection:
        ready()
        while True:
            count(decode(await connection.recv(decode=False)).seq is not None)


async def broadcast(_: argparse.Namespace, count: Count, ready: Callable[[], None]) -> None:
    from websockets.asyncio.client import connect

    from migctl.target.schema import channel

    envelope, read = msgspec.json.Decoder(Frame).decode, msgspec.json.Decoder(Broadcast).decode
    url = os.environ["SUPABASE_URL"].replace("http", "ws", 1) + "/realtime/v1/websocket"
    url += f"?apikey={os.environ['SUPABASE_ANON_KEY']}&vsn=1.0.0"
    join = {
        "topic": f"realtime:{channel('public')}",
        "event": "phx_join",
        "ref": "1",
        "join_ref": "1",
        "payload": {
            "config": {"private": True, "broadcast": {"ack": False, "self": False}},
            "access_token": await access_token(),
        },
    }
    async with connect(url, compression=None, max_size=None, ping_interval=None, proxy=None) as connection:
        await connection.send(json.dumps(join))
        while True:
            frame = envelope(await connection.recv(decode=False))
            if frame.event == "broadcast":
                count(len(read(frame.payload).payload.events))
            elif frame.event == "phx_reply":
                ready()


async def access_token() -> str:
    from migctl.target.tokens import mint

    return mint(os.environ["SUPABASE_JWT_SECRET"], "authenticated", 3600.0)


async def product(options: argparse.Namespace, count: Count, ready: Callable[[], None]) -> None:
    from migctl.subscriber.realtime.subscriber import RealtimeSubscriber
    from migctl.subscriber.subscriber import Subscriber

    if options.way == "official":
        made: Any = RealtimeSubscriber(
            os.environ["SUPABASE_URL"], os.environ["SUPABASE_ANON_KEY"], access_token, wait_s=OPEN_S
        )
    else:
        made = Subscriber(options.url, wait_s=OPEN_S)
    async with made as events:
        await events.ready()
        while options.way == "realtime" and "realtime" not in made.attached:
            await asyncio.sleep(0.02)
        ready()
        async for batch in events.batches():
            count(len(batch))


async def receive(options: argparse.Namespace) -> None:
    from migctl import telemetry

    telemetry.configure(level="warning")
    stop = asyncio.Event()
    received, open_ = 0, 0

    def count(events: int) -> None:
        nonlocal received
        received += events

    def ready() -> None:
        nonlocal open_
        open_ += 1
        if open_ == options.subscribers:
            print("ready: all", flush=True)

    def mark() -> None:
        print(json.dumps({"cpu_s": time.process_time(), "events": received}), flush=True)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, mark)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    bare: dict[str, Callable[..., Awaitable[None]]] = {"socket": socket, "broadcast": broadcast}
    run = bare.get(options.way, product)
    async with AsyncExitStack() as cleanup:
        group = await cleanup.enter_async_context(asyncio.TaskGroup())
        tasks = [group.create_task(run(options, count, ready)) for _ in range(options.subscribers)]  # type: ignore[arg-type]
        await stop.wait()
        for task in tasks:
            task.cancel()


# The parent.


def marks(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith('{"cpu_s"')]


def measure(on: Deployment, options: argparse.Namespace) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for transport, ways in WAYS.items():
        rows |= receive_all(on, transport, ways, options)
    ratios = {
        way: round(rows[way]["cpu_us_per_event"] / rows[limit]["cpu_us_per_event"], 2)
        for way, limit in LIMIT_OF.items()
        if rows[way]["events"] and rows[limit]["events"]
    }
    sound = len(ratios) == len(LIMIT_OF) and all(each <= options.most for each in ratios.values())
    return {
        "schema": "migctl.receiving/1",
        "subscribers": options.subscribers,
        "rate": options.rate,
        "ways": rows,
        "over_raw_limit": ratios,
        "verdict": "pass" if sound else "fail",
    }


def receive_all(
    on: Deployment, transport: Assigned, ways: Sequence[str], options: argparse.Namespace
) -> dict[str, Any]:
    """What these ways cost, by a serve that assigns everybody this transport."""
    on.flag = transport
    on.acknowledged.unlink(missing_ok=True)
    on.start_serve()
    children = {}
    for way in ways:
        words = [__file__, "--receive", "--way", way, "--url", on.url]
        children[way] = on.launch(way, [*words, "--subscribers", str(options.subscribers)])
    for way, child in children.items():
        on.wait(lambda child=child: "ready: all" in child.log_tail(lines=50), way, child)  # type: ignore[misc]
    producer = on.produce(rate=options.rate, seconds=None, workers=2, batch=10)
    on.wait(on.acknowledged.exists, "the first event", producer)
    time.sleep(WARM_S)
    mark_all(on, children, 1)
    time.sleep(options.seconds)
    mark_all(on, children, 2)
    assert on.serve is not None
    for child in (producer, *children.values(), on.serve):
        child.stop(signal.SIGTERM, 30)
    return {way: cost(*marks(on.folder / f"{way}.log")) for way in ways}


def mark_all(on: Deployment, children: Mapping[str, Child], number: int) -> None:
    """Have each process say where it is, for this many times in all."""
    for way, child in children.items():
        child.send(signal.SIGUSR1)
        on.wait(lambda way=way: len(marks(on.folder / f"{way}.log")) >= number, way, child)  # type: ignore[misc]


def cost(first: dict[str, Any], last: dict[str, Any]) -> dict[str, Any]:
    """Between two marks of one process. No event, no figure."""
    events = last["events"] - first["events"]
    micros = 1e6 * (last["cpu_s"] - first["cpu_s"]) / events if events else None
    return {"events": events, "cpu_us_per_event": None if micros is None else round(micros, 1)}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subscribers", type=int, default=20, help="in each process")
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--most", type=float, default=3.0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--output", choices=("text", "json"), default="text")
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.receive:
        import uvloop

        uvloop.run(receive(options))
        return 0
    with deployed(keep=options.keep) as on:
        found = measure(on, options)
    if options.output == "json":
        print(json.dumps(found, indent=2))
        return 0 if found["verdict"] == "pass" else 1
    for way, row in found["ways"].items():
        ratio = found["over_raw_limit"].get(way)
        print(
            f"{way:10} {row['cpu_us_per_event']!s:>7} us of CPU an event and subscriber"
            + (f", {ratio} x its raw limit" if ratio else "")
        )
    print(found["verdict"])
    return 0 if found["verdict"] == "pass" else 1


if __name__ == "__main__":
    sys.exit(main())
