"""The gateway's fan-out per server CPU-second, over `websockets.broadcast` with uvloop: same frames, same run, one ratio.

    ./dev run python benchmarks/fanout.py [--subscribers 100] [--events 1000] [--bytes 500] [--rounds 3]

Both servers run in processes of their own, on uvloop, without compression; one process reads for all subscribers and counts every
frame. Both build each frame's text from the event. CPU-seconds are those of the thread that serves the sockets; the gateway's has
the journal's append, tail and wake-ups in it. `with journal` counts the threads that commit and fsync too, which the other server
does not have. Aim: a ratio of 1.0 and more, however few events come at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from migctl.events import Entry, Event
from migctl.events.ids import uuid7

MARK = b'"committed_at":'
MAX_QUEUED_BYTES = 256 << 10
GROUPS = (1, 10, 100)


def make_events(count: int, size: int) -> list[Event]:
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    data = b'{"text":"%b"}' % (b"x" * max(size - 11, 0))
    return [
        Event(id=uuid7(), event_type="cache_metrics", timestamp=moment, source="benchmark", data=data)
        for _ in range(count)
    ]


# The two servers. Each prints its port, waits for a line on stdin, publishes, and prints its CPU-seconds.


async def publish(
    groups: list[list[Event]], send: Callable[[list[Event]], Awaitable[None]], queued: Callable[[], int]
) -> None:
    """Send group by group, never faster than the subscribers read, and say the CPU-seconds of thread and process."""
    thread, process = time.thread_time(), time.process_time()
    for number, group in enumerate(groups):
        await send(group)
        if number % 10 == 9:
            while queued() > MAX_QUEUED_BYTES:
                await asyncio.sleep(0.001)
    await asyncio.sleep(0)
    while queued():
        await asyncio.sleep(0.001)
    say(thread_s=time.thread_time() - thread, process_s=time.process_time() - process)


async def told() -> None:
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


def say(**words: Any) -> None:
    print(json.dumps(words), flush=True)


def _unasked(_: object) -> NoReturn:
    raise AssertionError("nobody asks this server for its status")


async def serve_gateway(groups: list[list[Event]]) -> None:
    from migctl import server, telemetry
    from migctl.config import Settings
    from migctl.journal.sqlite import SqliteJournal
    from migctl.transports.websocket import Gateway

    telemetry.configure(level="warning")
    with tempfile.TemporaryDirectory() as folder:
        journal = await SqliteJournal.open(Path(folder) / "journal.db")
        gateway = Gateway(journal)
        app = server.build(journal=journal, gateway=gateway, settings=Settings(), status=_unasked)
        running = asyncio.create_task(gateway.run())

        async def send(group: list[Event]) -> None:
            await journal.append(group)

        async with server.listening(app, "127.0.0.1", 0) as listener:
            say(port=listener.port)
            await told()
            await publish(groups, send, lambda: int(gateway.status().max_queued_bytes))
            await gateway.drain(10)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await journal.aclose()


async def serve_broadcast(groups: list[list[Event]]) -> None:
    from websockets.asyncio.server import ServerConnection, broadcast, serve

    from migctl.transports.websocket.frames import event_text

    connections: set[ServerConnection] = set()
    end = asyncio.Event()
    seq = 0

    async def handler(connection: ServerConnection) -> None:
        connections.add(connection)
        await end.wait()

    async def send(group: list[Event]) -> None:
        nonlocal seq
        moment = datetime.now(UTC)
        for event in group:
            seq += 1
            broadcast(connections, event_text(Entry(event, "E", seq, moment)).decode())
        await asyncio.sleep(0)

    def queued() -> int:
        return max(connection.transport.get_write_buffer_size() for connection in connections)

    async with serve(handler, "127.0.0.1", 0, compression=None) as listener:
        say(port=next(iter(listener.sockets)).getsockname()[1])
        await told()
        await publish(groups, send, queued)
        end.set()


# The readers.


def read_all(port: int, subscribers: int, frames: int, ready: Callable[[], None]) -> None:
    """Attach every subscriber, say so, and return once each has got every frame. Raises TimeoutError."""
    selector = selectors.DefaultSelector()
    for _ in range(subscribers):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(
            b"GET /ws?v=2 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        if not connection.recv(65536).startswith(b"HTTP/1.1 101"):
            raise RuntimeError("no WebSocket there")
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, [0, b""])
    ready()
    missing = subscribers
    while missing:
        found = selector.select(30)
        if not found:
            raise TimeoutError(f"{missing} subscribers did not get every frame")
        for key, _ in found:
            state = key.data
            chunk = key.fileobj.recv(1 << 18)  # type: ignore[union-attr]
            if not chunk and state[0] < frames:
                raise RuntimeError(f"closed after {state[0]} of {frames} frames")
            # A mark that is cut in two is found with the end of the chunk before.
            text = state[1] + chunk
            state[0] += text.count(MARK)
            state[1] = text[-(len(MARK) - 1) :]
            if state[0] >= frames:
                missing -= 1
                selector.unregister(key.fileobj)


def measure(server: str, group: int, options: argparse.Namespace) -> tuple[float, float]:
    """Frames per CPU-second of the serving thread, and of the whole process."""
    command = [sys.executable, __file__, "--serve", server, "--group", str(group)]
    command += ["--events", str(options.events), "--bytes", str(options.bytes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            stdin, stdout = process.stdin, process.stdout
            port = json.loads(stdout.readline())["port"]

            def go() -> None:
                stdin.write("\n")
                stdin.flush()

            read_all(port, options.subscribers, options.events, go)
            cpu = json.loads(stdout.readline())
        finally:
            process.kill()
    frames = options.events * options.subscribers
    return frames / cpu["thread_s"], frames / cpu["process_s"]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subscribers", type=int, default=100)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--bytes", type=int, default=500, help="of data in each event")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", choices=("text", "json"), default="text")
    parser.add_argument("--serve", choices=("gateway", "broadcast"), help=argparse.SUPPRESS)
    parser.add_argument("--group", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        import uvloop

        events = make_events(options.events, options.bytes)
        groups = [events[at : at + options.group] for at in range(0, len(events), options.group)]
        uvloop.run({"gateway": serve_gateway, "broadcast": serve_broadcast}[options.serve](groups))
        return 0
    rows = []
    for group in GROUPS:
        found: dict[str, list[tuple[float, float]]] = {"gateway": [], "broadcast": []}
        for _ in range(options.rounds):  # in turn, so that a busy moment of the machine meets both
            for server, rates in found.items():
                rates.append(measure(server, group, options))
        gateway, whole = (statistics.median(rates) for rates in zip(*found["gateway"], strict=True))
        broadcast, _ = (statistics.median(rates) for rates in zip(*found["broadcast"], strict=True))
        rows.append(
            {
                "events_at_a_time": group,
                "gateway_frames_per_cpu_s": round(gateway),
                "broadcast_frames_per_cpu_s": round(broadcast),
                "ratio": round(gateway / broadcast, 2),
                "ratio_with_journal": round(whole / broadcast, 2),
            }
        )
        if options.output == "text":
            print(
                f"{options.subscribers} subscribers, {options.bytes} bytes, {group:>3} at a time:"
                f"  gateway {gateway:>9,.0f}  broadcast {broadcast:>9,.0f} frames per CPU-second"
                f"  ratio {gateway / broadcast:5.2f}  (with journal {whole / broadcast:5.2f})"
            )
    if options.output == "json":
        print(json.dumps({"schema": "migctl.fanout/1", "cpus": os.cpu_count(), "rows": rows}, indent=2))
    return 0 if min(row["ratio"] for row in rows) >= 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
