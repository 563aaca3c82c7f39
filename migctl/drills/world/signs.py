"""Listens for signs of life as a subscriber would, and writes each down: over Realtime canaries and events, over the WebSocket
heartbeats and events. A process of `observed`.

An event counts on either transport; where none is published, canaries and heartbeats still come. It sends nothing but a few
questions at the beginning, as any subscriber may: an answer has the time of serve's clock, and tells how far ours is from it.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec
import uvloop

from migctl import clock, telemetry
from migctl.config import secret
from migctl.errors import MigctlError, Systemic
from migctl.events import parse_time
from migctl.resilience import Backoff, Retry
from migctl.subscriber.gateway.client import LOST, Address
from migctl.subscriber.gateway.serve_client import ServeClient
from migctl.target.schema import canary_channel, channel
from migctl.transports import wire
from migctl.transports.protocol import TransportName
from migctl.transports.realtime.canary import EVENT as CANARY
from migctl.transports.realtime.channel import joined

RETRY = Backoff(0.2, 2.0)
Found = Callable[[TransportName, str, datetime | None], None]
# So often serve is asked for its time; the quickest answer counts.
QUESTIONS = 5


class Sign(msgspec.Struct, omit_defaults=True):
    """kind: canary, heartbeat, event, or clock, an answer to us, which is no sign of life: we asked for it.

    at: unix seconds. took_ms: since it was sent, where it says when; of an answer since it was asked for. ahead_ms: of an answer,
    how far serve's clock is before ours; half of took_ms either way.
    """

    transport: TransportName
    kind: str
    at: float
    took_ms: float | None
    ahead_ms: float | None = None


def of_broadcast(event: str, payload: Mapping[str, object]) -> tuple[str, datetime | None] | None:
    """A canary, or the last event of a hint, with when it was sent; None for what is no sign, such as a heartbeat of the table."""
    if event == CANARY:
        return "canary", _time(payload.get("at"))
    events = payload.get("events")
    if event == "events" and isinstance(events, list) and events and isinstance(events[-1], dict):
        return "event", _time(events[-1].get("committed_at"))
    return None


def of_frame(text: str | bytes) -> tuple[str, datetime | None] | None:
    """A heartbeat or an event of a v2 socket; None for other control frames."""
    frame = msgspec.json.decode(text, type=dict[str, object])
    kind = frame.get("type")
    if kind == "sys.hb":
        return "heartbeat", _time(frame.get("timestamp"))
    if isinstance(kind, str) and not kind.startswith("sys.") and "seq" in frame:
        return "event", _time(frame.get("committed_at"))
    return None


def _time(text: object) -> datetime | None:
    try:
        return parse_time(text) if isinstance(text, str) else None
    except ValueError:
        return None


def no_realtime(url: str) -> Systemic:
    return Systemic(
        f"{url}: assigns nobody Realtime: it names no project, or gives no access token",
        do="where serve runs, set its mode to dual or realtime, without realtime.clients_bring_tokens",
    )


async def listen_realtime(server: ServeClient, found: Found) -> None:
    """Until its channel is lost. Raises Transient or Systemic."""
    assignment = await server.assignment()
    project = assignment.project
    if project is None or assignment.access_token is None:
        raise no_realtime(server.url)
    token = assignment.access_token

    async def given() -> str:
        return token

    def heard(event: str, payload: dict[str, object]) -> None:
        sign = of_broadcast(event, payload)
        if sign is not None:
            found("realtime", *sign)

    topics = [canary_channel(project.schema), channel(project.schema)]
    async with joined(project.url, apikey=project.anon_key, topics=topics, token=given, heard=heard):
        await asyncio.Event().wait()


def of_answer(asked: datetime, received: datetime, answered_at: datetime) -> tuple[float, float]:
    """Milliseconds that an answer took, and how far the clock of who gave it is ahead, taking both ways as equally long. Pure."""
    took_ms = 1000 * (received - asked).total_seconds()
    ahead_ms = 1000 * (answered_at - received).total_seconds() + took_ms / 2
    return round(took_ms, 3), round(ahead_ms, 3)


class Questions:
    """Of one socket: a few, one after the other; the first heartbeat after one is its answer."""

    def __init__(self, ask: Callable[[], Awaitable[object]], found: Callable[[Sign], None]) -> None:
        self._ask = ask
        self._found = found
        self._asked: datetime | None = None
        self._answered = asyncio.Event()

    async def run(self) -> None:
        for _ in range(QUESTIONS):
            await asyncio.sleep(2 * wire.ANSWER_EVERY_S)  # who asks all the time is not answered
            self._answered.clear()
            self._asked = clock.now()
            await self._ask()
            await self._answered.wait()

    def takes(self, kind: str, sent: datetime | None) -> bool:
        """Whether this is an answer, which is written down."""
        asked = self._asked
        if asked is None or kind != "heartbeat" or sent is None:
            return False
        self._asked, received = None, clock.now()
        took_ms, ahead_ms = of_answer(asked, received, sent)
        self._found(Sign("websocket", "clock", received.timestamp(), took_ms, ahead_ms))
        self._answered.set()
        return True


async def listen_websocket(server: ServeClient, found: Found, answered: Callable[[Sign], None]) -> None:
    """Until its socket is lost. It is no subscriber to serve, as its own witness is none. Raises Transient or Systemic."""
    address = Address(f"{server.ws_url}?client=witness", secret("MIGCTL_TOKEN"))
    try:
        async with address.open() as (socket, hello, _):
            questions = Questions(lambda: address.ask(socket), answered)
            asking = asyncio.create_task(questions.run()) if hello.asks else None
            try:
                async for text in socket:
                    sign = of_frame(text)
                    if sign is not None and not questions.takes(*sign):
                        found("websocket", *sign)
            finally:
                if asking is not None:
                    asking.cancel()
                    await asyncio.gather(asking, return_exceptions=True)
    except LOST as error:
        raise address.unreachable(error) from None


async def keep(
    listen: Callable[[ServeClient, Found], Awaitable[None]], server: ServeClient, found: Found
) -> None:
    """Until cancelled. What ends it is written to the log, and it is begun again."""
    retry, log = Retry(RETRY), telemetry.get_logger("drill")
    while True:
        try:
            await listen(server, found)
        except MigctlError as error:
            log.warning("not listening", reason=error.what, do=error.do)
            retry.failed(error)
        await retry.wait()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--out", required=True, type=Path)
    options = parser.parse_args()
    telemetry.configure(level="info")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = ServeClient(options.url, token=secret("MIGCTL_TOKEN"))
    with options.out.open("ab") as out:

        def write(sign: Sign) -> None:
            out.write(msgspec.json.encode(sign) + b"\n")
            out.flush()

        def found(transport: TransportName, kind: str, sent: datetime | None) -> None:
            now = clock.now()
            took_ms = None if sent is None else round(1000 * (now - sent).total_seconds(), 1)
            write(Sign(transport, kind, now.timestamp(), took_ms))

        async def websocket(server: ServeClient, found: Found) -> None:
            await listen_websocket(server, found, write)

        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(keep(listen, server, found)) for listen in (listen_realtime, websocket)
            ]
            telemetry.get_logger("drill").info("ready: listening")
            await stop.wait()
            for task in tasks:
                task.cancel()
    await server.aclose()


if __name__ == "__main__":
    uvloop.run(main())
