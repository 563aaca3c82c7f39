"""`GET /api/transport?user=`: which transport a user's subscriber takes, and what it needs for Realtime.

The token is minted for the role `authenticated`, which reads and never writes. Nothing of it is logged or kept.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from migctl.clock import now
from migctl.config import Mode, Target
from migctl.errors import Usage
from migctl.events import format_time
from migctl.server.answers import answer, refusal
from migctl.transports.protocol import TransportName
from migctl.transports.realtime.tokens import mint

TTL_S = 3600
MAX_USER_CHARS = 255


def assigned(mode: Mode, flag: str | None) -> TransportName:
    """The transport of everybody. flag: MIGCTL_FLAG_TRANSPORT, None where it is not set.

    Raises Usage for a flag that is no transport, or one that the mode has not.
    """
    if flag not in (None, "websocket", "realtime"):
        raise Usage(
            f"MIGCTL_FLAG_TRANSPORT={flag} is no transport", do="set it to websocket or realtime, or unset it"
        )
    if mode != "dual" and flag not in (None, mode):
        raise Usage(
            f"MIGCTL_FLAG_TRANSPORT={flag}, and mode {mode} has no such transport",
            do="serve in mode dual, or unset MIGCTL_FLAG_TRANSPORT",
        )
    if mode == "realtime" or flag == "realtime":
        return "realtime"
    return "websocket"


class Assignment:
    """The handler. target: None in mode websocket; then the fields of Realtime are null."""

    def __init__(
        self, *, transport: TransportName, target: Target | None, schema: str, epoch: Callable[[], str]
    ) -> None:
        self._transport = transport
        self._target = target
        self._channel = f"{schema}.monitoring_events"
        self._epoch = epoch

    async def get(self, request: web.Request) -> web.StreamResponse:
        user = request.query.get("user", "")
        if not 0 < len(user) <= MAX_USER_CHARS:
            return refusal(
                400,
                "value",
                f"user must have 1 to {MAX_USER_CHARS} characters: /api/transport?user=WHO",
                field="user",
            )
        return answer(200, self.document(now()))

    def document(self, moment: datetime) -> dict[str, Any]:
        """The answer. The token is null where the project's JWT secret is not known here: the client brings its own then."""
        target = self._target
        secret = target.jwt_secret if target is not None else None
        token = mint(secret, "authenticated", TTL_S, now=moment) if secret else None
        # A token's end is a whole second, never later than asked.
        ends = moment.replace(microsecond=0) + timedelta(seconds=TTL_S)
        return {
            "transport": self._transport,
            "epoch": self._epoch(),
            "supabase_url": target.supabase_url if target is not None else None,
            "anon_key": target.anon_key if target is not None else None,
            "channel": self._channel if target is not None else None,
            "access_token": token,
            "expires_at": format_time(ends) if token is not None else None,
        }
