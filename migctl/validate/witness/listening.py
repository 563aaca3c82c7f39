"""Listening: one subscriber of one transport, as `migctl capture` uses it, into the windows; a new one when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from migctl import clock
from migctl.errors import MigctlError
from migctl.events import Position
from migctl.resilience import Backoff, Retry
from migctl.subscriber.core.release import Release
from migctl.subscriber.gateway.subscriber import WebsocketSubscriber
from migctl.subscriber.realtime.subscriber import RealtimeSubscriber
from migctl.telemetry import get_logger
from migctl.validate.witness.windows import Windows

WATCH_EVERY_S = 0.1
RETRY = Backoff(0.5, 5.0)

log = get_logger("witness")

Reading = WebsocketSubscriber | RealtimeSubscriber


class Make(Protocol):
    def __call__(self, position: Position | None) -> Reading: ...


async def listen(
    transport: str,
    make: Make,
    windows: Windows,
    heard: Callable[[Release], None],
    changed: Callable[[], None],
) -> None:
    """Until cancelled. heard: called with each release. changed: called when it was attached or lost, and when a marker came."""
    retry, position = Retry(RETRY), None
    while True:
        try:
            async with make(position) as subscriber:
                position = await subscriber.ready()
                windows.hears(transport, position)
                changed()
                retry.succeeded()
                watching = asyncio.create_task(_watch(transport, subscriber, windows, changed))
                try:
                    async for batch in subscriber.batches():
                        markers = len(windows.markers)
                        for item in batch:
                            if isinstance(item, Release):
                                windows.released(transport, item)
                                heard(item)
                                if item.is_control:
                                    changed()
                        position = subscriber.position
                        if len(windows.markers) != markers:
                            changed()
                finally:
                    watching.cancel()
                    await asyncio.wait({watching})
        except MigctlError as error:
            windows.is_down(transport, clock.now(), error.what)
            changed()
            log.log(retry.failed(error).level, f"{transport} is not heard", reason=error.what)
        await retry.wait()


async def _watch(transport: str, subscriber: Reading, windows: Windows, changed: Callable[[], None]) -> None:
    """Whether it is attached, a few times a second."""
    was = None
    while True:
        if subscriber.up:
            windows.is_up(transport, clock.now())
        else:
            windows.is_down(transport, clock.now(), "its connection was lost")
        if subscriber.up != was:
            was = subscriber.up
            changed()
        await asyncio.sleep(WATCH_EVERY_S)
