"""A client of the old protocol: connects, takes what comes, connects again. A process of `deployment`.

It knows no positions, so nothing is promised to it but what comes while it is connected; what it missed counts in availability
alone. An event is known by `data.event`, since the old frames have no id.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import time
from pathlib import Path
from typing import BinaryIO

import msgspec
import uvloop

from migctl import telemetry

AGAIN_S = 0.2


class LegacyLine(msgspec.Struct):
    """What is written of an event. received_at: unix seconds."""

    event: str
    received_at: float


class _Data(msgspec.Struct):
    event: str


class _Envelope(msgspec.Struct):
    data: _Data


def line_of(frame: str | bytes, received_at: float) -> LegacyLine | None:
    """None for a frame without an event of ours."""
    try:
        return LegacyLine(msgspec.json.decode(frame, type=_Envelope).data.event, received_at)
    except msgspec.DecodeError:
        return None


async def listen(url: str, out: BinaryIO) -> None:
    """Until cancelled."""
    import websockets

    note = telemetry.get_logger("capture").info
    while True:
        with contextlib.suppress(OSError, websockets.WebSocketException, TimeoutError):
            # A dashboard is a browser, which has no bound of a message's size.
            async with websockets.connect(
                url, max_size=None, open_timeout=5, ping_interval=5, ping_timeout=5
            ) as socket:
                note("ready: connected")
                async for frame in socket:
                    line = line_of(frame, time.time())
                    if line is not None:
                        out.write(msgspec.json.encode(line) + b"\n")
                        out.flush()
        await asyncio.sleep(AGAIN_S)


def first_event(url: str, within_s: float) -> bool:
    """Whether a client that connects here receives an event that was published by the drill, within this time."""
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect

    deadline = time.monotonic() + within_s
    try:
        with connect(url, max_size=None, open_timeout=within_s) as socket:
            while (left := deadline - time.monotonic()) > 0:
                if line_of(socket.recv(timeout=left), time.time()) is not None:
                    return True
    except (OSError, WebSocketException):  # a time that is over is an OSError too
        pass
    return False


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--out", required=True, type=Path)
    options, _ = parser.parse_known_args()
    telemetry.configure(level="info")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "dual.ndjson").open("wb") as out:
        listening = asyncio.create_task(listen(options.url.replace("http", "ws", 1) + "/ws", out))
        await stop.wait()
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


if __name__ == "__main__":
    uvloop.run(main())
