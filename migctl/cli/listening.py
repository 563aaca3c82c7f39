"""Whose ears a command has: a subscriber of one transport, or of both as serve assigns them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from migctl.cli import output

if TYPE_CHECKING:
    from migctl.config import Settings
    from migctl.events import Position
    from migctl.subscriber.gateway.subscriber import WebsocketSubscriber
    from migctl.subscriber.realtime.subscriber import RealtimeSubscriber
    from migctl.subscriber.subscriber import Subscriber

Transport = Literal["websocket", "realtime", "dual"]


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
