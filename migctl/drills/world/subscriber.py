"""A subscriber that writes down what it is handed out, in a process of its own. A process of `deployment`.

Besides what `migctl capture` does: several kinds at once from one serve, each with its own assignment; tokens with a short life,
which nobody renews while a certain file is there, so that they expire; keys that are others once a certain file says others.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import msgspec
import uvloop

from migctl import telemetry
from migctl.config import secret
from migctl.config.modes import LiveWay
from migctl.drills.world.reader_keys import ReaderKeys
from migctl.drills.world.rekeyed import Rekeyed
from migctl.drills.world.signs import no_realtime
from migctl.errors import MigctlError, Transient
from migctl.events import Position
from migctl.subscriber.gateway.serve_client import Assignment, ServeClient
from migctl.subscriber.gateway.subscriber import WebsocketSubscriber
from migctl.subscriber.realtime.subscriber import RealtimeSubscriber
from migctl.subscriber.subscriber import Subscriber
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

    @property
    def claims(self) -> dict[str, str]:
        """Nobody: whom a socket names is sent what the flag says, which is the same for all."""
        return {}

    async def assignment(self) -> Assignment:
        return assigned(await super().assignment(), self._transport)


def assigned(found: Assignment, transport: TransportName) -> Assignment:
    """What the server says, for one that has this transport. Whether Realtime is away stays as it says it."""
    now = found.transport if found.lasting == transport else transport
    return msgspec.structs.replace(found, assigned=transport, transport=now)


def subscriber(
    kind: str, url: str, access_token: AccessToken, keys: Path, schema: str = "public"
) -> Subscriber | WebsocketSubscriber | Rekeyed:
    """Of this kind, as `Subscriber` of `deployment` has it."""
    what, _, assigned = kind.partition(":")
    if what == "whole":
        server = AssignedServer(url, cast(TransportName, assigned)) if assigned else ServeClient(url)
        return Subscriber(url, wait_s=WAIT_S, access_token=access_token, server=server)
    if what == "websocket":
        return WebsocketSubscriber(url.replace("http", "ws", 1) + "/ws", wait_s=WAIT_S)

    def realtime(anon_key: str, position: Position | None) -> RealtimeSubscriber:
        live: LiveWay = "postgres_changes" if what == "changes" else "broadcast"
        supabase_url = os.environ["SUPABASE_URL"]
        return RealtimeSubscriber(
            supabase_url, anon_key, access_token, schema=schema, live=live, position=position, wait_s=WAIT_S
        )

    return Rekeyed(keys, realtime)


def tokens(no_tokens: Path, keys: Path, seconds: float) -> AccessToken:
    """Tokens that live so long, signed with what `keys` has now; none while the file `no_tokens` is there."""

    async def access_token() -> str:
        if no_tokens.exists():
            raise Transient("nobody gives tokens now", do="nothing: it is tried again")
        return ReaderKeys.read(keys).mint(seconds)

    return access_token


async def listener(kind: str, url: str) -> WebsocketSubscriber | RealtimeSubscriber:
    """Of one transport of a deployment that runs, with what its serve tells any subscriber. To serve it is none, but a witness."""
    token = secret("MIGCTL_TOKEN")
    server = ServeClient(url, token=token)
    if kind == "websocket":
        return WebsocketSubscriber(f"{server.ws_url}?client=witness", token=token, wait_s=WAIT_S)
    assignment = await server.assignment()
    project = assignment.project
    if project is None or assignment.access_token is None:
        raise no_realtime(server.url)

    async def access_token() -> str:
        given = (await server.assignment()).access_token
        if given is None:
            raise no_realtime(server.url)
        return given

    return RealtimeSubscriber(
        project.url,
        project.anon_key,
        access_token,
        schema=project.schema,
        live="postgres_changes" if kind == "changes" else project.live,
        wait_s=WAIT_S,
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--token-seconds", type=float, default=3600.0)
    parser.add_argument("--no-tokens", type=Path)
    parser.add_argument("--keys", type=Path)
    parser.add_argument("--schema", default="public")
    parser.add_argument("--listen-only", action="store_true", help="with what serve tells any subscriber")
    options = parser.parse_args()
    telemetry.configure(level="info")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    file = CaptureFile(options.out, "dual")
    file.check(force=False)
    note = telemetry.get_logger("capture").info
    made: Subscriber | WebsocketSubscriber | RealtimeSubscriber | Rekeyed
    if options.listen_only:
        made = await listener(options.kind, options.url)
    else:
        access_token = tokens(options.no_tokens, options.keys, options.token_seconds)
        made = subscriber(options.kind, options.url, access_token, options.keys, options.schema)
    async with made as reader:
        await Capture(reader, "dual", options.kind, file, Until(drain_s=DRAIN_S), note).run(stop)


if __name__ == "__main__":
    try:
        uvloop.run(main())
    except MigctlError as error:
        sys.exit(f"{error.what}; {error.do}")
