"""Whose ears a command has: a subscriber of one transport, or of both as serve assigns them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from migctl.cli import output

if TYPE_CHECKING:
    from migctl.config import Settings
    from migctl.events import Position
    from migctl.subscriber.core.server_clock import Behind
    from migctl.subscriber.gateway.subscriber import WebsocketSubscriber
    from migctl.subscriber.realtime.subscriber import RealtimeSubscriber
    from migctl.subscriber.subscriber import Subscriber

Transport = Literal["websocket", "realtime", "dual"]
# A serve that does not answer within this time is not asked.
CLOCK_WITHIN_S = 2.0


async def subscriber_of(
    transport: Transport,
    settings: Settings,
    *,
    url: str | None,
    wait_s: float,
    position: Position | None = None,
) -> WebsocketSubscriber | RealtimeSubscriber | Subscriber:
    """One transport alone, or as serve assigns it. position: go on after it; None: with what comes. Raises Usage, Transient."""
    from migctl.config import secret

    if transport == "websocket":
        from migctl.config.address import socket_url
        from migctl.subscriber.gateway.subscriber import WebsocketSubscriber

        return WebsocketSubscriber(
            socket_url(url or f"http://{settings.listen}"),
            token=secret("MIGCTL_TOKEN"),
            wait_s=wait_s,
            position=position,
        )
    if transport == "dual":
        from migctl.subscriber.subscriber import Subscriber

        return Subscriber(
            url or f"http://{settings.listen}", token=secret("MIGCTL_TOKEN"), wait_s=wait_s, position=position
        )
    from migctl.errors import Usage
    from migctl.runtime.target import resolve
    from migctl.runtime.witness import access_token_of
    from migctl.subscriber.realtime.subscriber import RealtimeSubscriber

    if url is not None:
        raise Usage(
            "--url is for --transport websocket and dual",
            do="leave it out; the Realtime target is SUPABASE_URL, or the embedded stack",
        )
    target = await resolve(settings, need=("anon_key",), notify=output.note)
    return RealtimeSubscriber(
        target.supabase_url,
        target.need("anon_key"),
        access_token_of(settings, target),
        schema=settings.supabase.schema_,
        live=settings.realtime.live,
        wait_s=wait_s,
        position=position,
    )


async def clock_of(
    settings: Settings, url: str | None, subscriber: WebsocketSubscriber | RealtimeSubscriber | Subscriber
) -> Callable[[], Behind | None]:
    """What says how far our clock is behind that of serve. Who reads over Realtime alone asks the serve at `url`, once, and goes
    by the answer where it reads what that one writes."""
    from migctl.config import secret
    from migctl.config.address import socket_url
    from migctl.errors import MigctlError
    from migctl.subscriber.gateway.client import Address
    from migctl.subscriber.realtime.subscriber import RealtimeSubscriber

    if not isinstance(subscriber, RealtimeSubscriber):
        return lambda: subscriber.clock_behind
    address = Address(socket_url(url or f"http://{settings.listen}"), secret("MIGCTL_TOKEN"))
    try:
        async with asyncio.timeout(CLOCK_WITHIN_S):
            head = await address.head()
    except (MigctlError, TimeoutError):
        return lambda: None

    def behind() -> Behind | None:
        here = subscriber.merge.position
        return address.clock.best if here is not None and here.epoch == head.epoch else None

    return behind
