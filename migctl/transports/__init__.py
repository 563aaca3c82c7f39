"""Transports: the WebSocket gateway, and Supabase Realtime (table writer, heads, broadcast)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from migctl.transports.protocol import Audience, Table, Transport, TransportName, TransportStatus

if TYPE_CHECKING:
    from migctl.config import Mode, Settings, Target
    from migctl.config.settings import LegacySection
    from migctl.journal import Log
    from migctl.target.authenticated import Authenticated
    from migctl.transports.realtime import Broadcast
    from migctl.transports.websocket import Front, Gateway, Reading
    from migctl.transports.websocket.assigning import Flags

__all__ = ["Audience", "Made", "Table", "Transport", "TransportName", "TransportStatus", "create"]


@dataclass(frozen=True, slots=True)
class Made(Sequence["Transport"]):
    """The transports of a mode, each by its name, or all of them as a sequence, the gateway first. None: the mode has it not."""

    gateway: Gateway | None
    broadcast: Broadcast | None

    @property
    def all(self) -> tuple[Transport, ...]:
        return tuple(one for one in (self.gateway, self.broadcast) if one is not None)

    def __len__(self) -> int:
        return len(self.all)

    def __iter__(self) -> Iterator[Transport]:
        return iter(self.all)

    @overload
    def __getitem__(self, index: int) -> Transport: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Transport]: ...

    def __getitem__(self, index: int | slice) -> Transport | Sequence[Transport]:
        return self.all[index]


def create(
    mode: Mode,
    settings: Settings,
    *,
    journal: Log,
    target: Target | None = None,
    table: Table | None = None,
    flags: Flags | None = None,
    authenticated: Authenticated | None = None,
    reading: Reading | None = None,
) -> Made:
    """The transports of a mode, over one journal: `dual` is both.

    target, table: needed where the mode has Realtime. flags: say who has which transport. authenticated: makes their
    tokens. reading: of an old service's frames, needed where the settings have one.
    Raises ValueError for a mode with Realtime and without its parts.
    """
    gateway = _gateway(settings, journal, flags, reading) if mode in ("websocket", "dual") else None
    if mode == "websocket":
        return Made(gateway, None)
    if target is None or table is None:
        raise ValueError(f"mode {mode} needs a target and its table")
    from migctl.transports.realtime import Broadcast

    broadcast = Broadcast(
        journal,
        target,
        settings,
        table,
        messages_per_second=settings.realtime.messages_per_second,
        subscribers=settings.realtime.expected_subscribers,
        audience=gateway,
        authenticated=authenticated,
    )
    return Made(gateway, broadcast)


def _front(legacy: LegacySection, reading: Reading | None) -> Front | None:
    from migctl.transports.dialing import Keeping
    from migctl.transports.websocket import Front, Upstream

    if legacy.upstream is None:
        return None
    if reading is None:
        raise ValueError("an old service needs a reading of its frames")
    return Front(
        Upstream(legacy.upstream, keeping=Keeping.of(legacy)),
        reading,
        serve=legacy.serve,
        quiet_s=legacy.quiet_s,
        same_within_s=legacy.same_within_s,
    )


def _gateway(settings: Settings, journal: Log, flags: Flags | None, reading: Reading | None) -> Gateway:
    from migctl.transports.websocket import Gateway

    return Gateway(
        journal,
        legacy_frame=settings.legacy.frame,
        heartbeat_s=settings.gateway.heartbeat_s,
        front=_front(settings.legacy, reading),
        max_queue_bytes=settings.gateway.max_queue_bytes,
        stall_s=settings.gateway.stall_s,
        grace_s=settings.gateway.grace_s,
        flags=flags,
        joins_per_s=settings.realtime.joins_per_s,
    )
