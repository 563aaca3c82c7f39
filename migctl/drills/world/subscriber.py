"""A subscriber that writes down what it is handed out, in a process of its own. A process of `deployment`.

Besides what `migctl capture` does: several kinds at once from one serve, each with its own assignment; tokens with a short life,
which nobody renews while a certain file is there, so that they expire.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import msgspec
import uvloop

from migctl import telemetry
from migctl.errors import Transient
from migctl.subscriber.gateway.serve_client import Assignment, ServeClient
from migctl.subscriber.gateway.subscriber import WebsocketSubscriber
from migctl.subscriber.realtime.subscriber import RealtimeSubscriber
from migctl.subscriber.subscriber import Subscriber
from migctl.target.tokens import mint
from migctl.transports.protocol import TransportName
from migctl.validate.capture import Capture, Until
from migctl.validate.capture_file import CaptureFile

WAIT_S = 60.0
DRAIN_S = 20.0

AccessToken = Callable[[], Awaitable[str]]


class AssignedServer(ServeClient):
    """Assigns this subscriber a transport of its own; serve itself assigns everybody the same."""

    def __init__(self, url: str, transport: TransportName) -> None:
        super().__init__(url)
        self._transport = transport

    async def assignment(self) -> Assignment:
        return msgspec.structs.replace(await super().assignment(), transport=self._transport)


def subscriber(
    kind: str, url: str, access_token: AccessToken
) -> Subscriber | WebsocketSubscriber | RealtimeSubscriber:
    """Of this kind, as `Subscriber` of `deployment` has it."""
    what, _, assigned = kind.partition(":")
    if what == "whole":
        server = AssignedServer(url, cast(TransportName, assigned)) if assigned else ServeClient(url)
        return Subscriber(url, wait_s=WAIT_S, access_token=access_token, server=server)
    if what == "websocket":
        return WebsocketSubscriber(url.replace("http", "ws", 1) + "/ws", wait_s=WAIT_S)
    return RealtimeSubscriber(
        os.environ["SUPABASE_URL"],
        os.environ["SUPABASE_ANON_KEY"],
        access_token,
        live="postgres_changes" if what == "changes" else "broadcast",
        wait_s=WAIT_S,
    )


def tokens(no_tokens: Path, seconds: float) -> AccessToken:
    """Tokens that live so long; none while the file `no_tokens` is there."""
    secret = os.environ["SUPABASE_JWT_SECRET"]

    async def access_token() -> str:
        if no_tokens.exists():
            raise Transient("nobody gives tokens now", do="nothing: it is tried again")
        return mint(secret, "authenticated", seconds)

    return access_token


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--token-seconds", type=float, default=3600.0)
    parser.add_argument("--no-tokens", type=Path, required=True)
    options = parser.parse_args()
    telemetry.configure(level="info")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    file = CaptureFile(options.out, "dual")
    file.check(force=False)
    note = telemetry.get_logger("capture").info
    made = subscriber(options.kind, options.url, tokens(options.no_tokens, options.token_seconds))
    async with made as reader:
        await Capture(reader, "dual", options.kind, file, Until(drain_s=DRAIN_S), note).run(stop)


if __name__ == "__main__":
    uvloop.run(main())
