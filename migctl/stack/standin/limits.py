"""Limits and cadence of the stand-in: by default those of a hosted project without spend cap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Plan = Literal["self-hosted", "free", "pro", "no-cap", "off"]


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """What a plan allows: all rates in messages or joins a second, deliveries included."""

    users: int
    messages_per_s: int
    joins_per_s: int
    broadcast_bytes: int


_UNLIMITED = 1 << 40
PLANS: dict[Plan, PlanLimits] = {
    "self-hosted": PlanLimits(200, 100, 100, 3_000_000),
    "free": PlanLimits(200, 100, 100, 256_000),
    "pro": PlanLimits(500, 500, 500, 3_000_000),
    "no-cap": PlanLimits(10_000, 2_500, 2_500, 3_000_000),
    "off": PlanLimits(_UNLIMITED, _UNLIMITED, _UNLIMITED, 3_000_000),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How the stand-in behaves at its edges. Times in seconds.

    max_rows: the most rows that one read or rpc answers (PostgREST's db-max-rows).
    join_error_s, connect_error_s: the real server waits this long before it refuses a join or an upgrade.
    presence_calls: so many of one channel in presence_window_s; one more closes it.
    token_s: how long a user token is good. refresh_reuse_s: for how long a refresh token may come again after it was used.
    poll_s: postgres_changes are polled this often while only unrelated changes come; idle, five times as long.
    """

    plan: PlanLimits = PLANS["no-cap"]
    schemas: tuple[str, ...] = ("public", "graphql_public")
    max_rows: int = 1000
    max_body_bytes: int = 64 << 20
    pool_size: int = 10
    pool_timeout_s: float = 10.0
    join_error_s: float = 5.0
    connect_error_s: float = 2.0
    channels_per_client: int = 100
    poll_s: float = 0.1
    poll_max_changes: int = 100
    max_record_bytes: int = 1 << 20
    publication: str = "supabase_realtime"
    publication_check_s: float = 60.0
    socket_queue_bytes: int = 16 << 20
    socket_idle_s: float = 60.0
    presence_calls: int = 5
    presence_window_s: float = 30.0
    token_s: int = 3600
    refresh_reuse_s: float = 10.0
