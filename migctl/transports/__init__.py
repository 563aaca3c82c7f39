"""Transports: the WebSocket gateway, and Supabase Realtime (table writer, heads, broadcast)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from migctl.transports.protocol import Transport, TransportName, TransportStatus

if TYPE_CHECKING:
    from migctl.config import Mode, Settings, Target
    from migctl.journal import Log

__all__ = ["Transport", "TransportName", "TransportStatus", "create"]


def create(
    mode: Mode,
    settings: Settings,
    *,
    journal: Log,
    target: Target | None = None,
    table_head: Callable[[], int] = lambda: 0,
    reached: Callable[[], None] = lambda: None,
) -> list[Transport]:
    """The transports of a mode, over one journal: `dual` is both.

    target: needed where the mode has Realtime. table_head: what the relay has written, for the hints to tell.
    reached: called whenever Realtime was reached anew.
    Raises ValueError for a mode with Realtime and no target.
    """
    made: list[Transport] = []
    gateway = None
    if mode in ("websocket", "dual"):
        from migctl.transports.websocket import Gateway

        gateway = Gateway(
            journal,
            legacy_frame=settings.legacy.frame,
            heartbeat_s=settings.gateway.heartbeat_s,
            upstream=settings.legacy.upstream,
            max_queue_bytes=settings.gateway.max_queue_bytes,
            stall_s=settings.gateway.stall_s,
            grace_s=settings.gateway.grace_s,
        )
        made.append(gateway)
    if mode in ("realtime", "dual"):
        from migctl.transports.realtime import Broadcast

        if target is None:
            raise ValueError(f"mode {mode} needs a target")
        made.append(
            Broadcast(
                journal,
                target,
                settings,
                table_head,
                messages_per_second=settings.realtime.messages_per_second,
                subscribers=settings.realtime.expected_subscribers,
                audience=gateway.count_standby if gateway is not None else None,
                reached=reached,
            )
        )
    return made
