"""A subscriber that writes down what it is handed out, in a process of its own. A process of `deployment`.

Besides what `migctl capture` does: several kinds at once from one serve, each with its own assignment; tokens with a short life,
which nobody renews while the file `no-tokens` is in the folder of the logs, so that they expire.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from migctl import telemetry
from migctl.errors import Transient
from migctl.subscriber.gateway.serve_client import Assignment, ServeClient
from migctl.subscriber.gateway.subscriber import WebsocketSubscriber
from migctl.subscriber.realtime.subscriber import RealtimeSubscriber
from migctl.subscriber.subscriber import Subscriber
from migctl.target.tokens import mint
from migctl.validate.capture import Capture, Until
from migctl.validate.capture_file import CaptureFile

WAIT_S = 60.0
DRAIN_S = 20.0


class AssignedServer(ServeClient):
    """Assigns this subscriber a transport of its own; serve itself assigns everybody the same."""

    def __init__(self, url: str, transport: Any) -> None:
        super().__init__(url)
        self._transport = transport

    async def assignment(self) -> Assignment:
        return msgspec.structs.replace(await super().assignment(), transport=self._transport)


def whole(url: str, transport: str, access_token: Any) -> Subscriber:
    return Subscriber(url, wait_s=WAIT_S, access_token=access_token, server=AssignedServer(url, transport))


def subscriber(options: argparse.Namespace) -> Any:
    secret = os.environ["SUPABASE_JWT_SECRET"]
    no_tokens = options.out.parent / "no-tokens"

    async def access_token() -> str:
        if no_tokens.exists():
            raise Transient("nobody gives tokens now", do="nothing: it is tried again")
        return mint(secret, "authenticated", options.token_seconds)

    kind, _, assigned = options.kind.partition(":")
    if kind == "whole":
        return whole(options.url, assigned, access_token)
    if kind == "websocket":
        return WebsocketSubscriber(options.url.replace("http", "ws", 1) + "/ws", wait_s=WAIT_S)
    return RealtimeSubscriber(
        os.environ["SUPABASE_URL"],
        os.environ["SUPABASE_ANON_KEY"],
        access_token,
        live="postgres_changes" if kind == "changes" else "broadcast",
        wait_s=WAIT_S,
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--token-seconds", type=float, default=3600.0)
    options = parser.parse_args()
    telemetry.configure(level="info")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    file = CaptureFile(options.out, "dual")
    file.check(force=False)
    say = telemetry.get_logger("capture").info
    async with subscriber(options) as reader:
        await Capture(reader, "dual", options.kind, file, Until(drain_s=DRAIN_S), say).run(stop)


if __name__ == "__main__":
    uvloop.run(main())
