"""Transports: the WebSocket gateway, and Supabase Realtime (table writer, heads, broadcast)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migctl.transports.protocol import Audience, Table, Transport, TransportName, TransportStatus

if TYPE_CHECKING:
    from migctl.config import Mode, Settings, Target
    from migctl.journal import Log
    from migctl.transports.websocket.assigning import Flags

__all__ = ["Audience", "Table", "Transport", "TransportName", "TransportStatus", "create"]


def create(
    mode: Mode,
    settings: Settings,
    *,
    journal: Log,
    target: Target | None = None,
    table: Table | None = None,
    flags: Flags | None = None,
) -> list[Transport]:
    """The transports of a mode, over one journal: `dual` is both.

    target, table: needed where the mode has Realtime. flags: say who has which transport.
    Raises ValueError for a mode with Realtime and without its parts.
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
            flags=flags,
            joins_per_s=settings.realtime.joins_per_s,
        )
        made.append(gateway)
    if mode in ("realtime", "dual"):
        from migctl.transports.realtime import Broadcast

        if target is None or table is None:
            raise ValueError(f"mode {mode} needs a target and its table")
        made.append(
            Broadcast(
                journal,
                target,
                settings,
                table,
                messages_per_second=settings.realtime.messages_per_second,
                subscribers=settings.realtime.expected_subscribers,
                audience=gateway,
            )
        )
    return made
