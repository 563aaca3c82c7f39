"""`GET /api/transport?user=`: which transport a user's subscriber takes, what it needs for Realtime, and how it falls back.

`assigned` is what the flag says, and lasts; `transport` is where to go now: nobody is sent to a transport whose breaker is open. A
flag is asked for the user alone: what else a stranger says of itself puts it into no segment.

The token is for the role `authenticated`, which reads and never writes; who makes it, `migctl.target.authenticated` says.
Nothing of it is logged.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from migctl.clock import now
from migctl.config import Mode, Target
from migctl.config.modes import LiveWay
from migctl.config.settings import FallbackSection
from migctl.errors import Systemic, Transient, Usage
from migctl.events import format_time
from migctl.flags.assignment import Assigned
from migctl.server.answers import answer, refusal
from migctl.target.authenticated import Authenticated, authenticated_of
from migctl.target.schema import channel
from migctl.telemetry import get_logger
from migctl.transports.protocol import TransportName

log = get_logger("serve")

MAX_USER_CHARS = 255


def kill_switch(mode: Mode, flag: str | None) -> TransportName | None:
    """What MIGCTL_FLAG_TRANSPORT says everybody takes, whatever any store of flags says; None where it is not set.

    Raises Usage for a flag that is no transport, or one that the mode has not.
    """
    if flag is None:
        return None
    if flag not in ("websocket", "realtime"):
        raise Usage(
            f"MIGCTL_FLAG_TRANSPORT={flag} is no transport", do="set it to websocket or realtime, or unset it"
        )
    if mode not in ("dual", flag):
        raise Usage(
            f"MIGCTL_FLAG_TRANSPORT={flag}, and mode {mode} has no such transport",
            do="serve in mode dual, or unset MIGCTL_FLAG_TRANSPORT",
        )
    return "realtime" if flag == "realtime" else "websocket"


class Assignment:
    """The handler.

    assign: what the flag says of a user. served: called with each who is handed it, what it is, and where they go.
    away: whether Realtime's subscribers are on the WebSocket now, for its breaker.
    target: None in mode websocket; then the fields of Realtime are null. live: what brings the events of Realtime.
    fallback: None for the defaults. authenticated: makes tokens; default as the target says.
    gives_tokens: False where clients bring their own.
    token_ttl_s: how long those live that are signed here.
    """

    def __init__(
        self,
        *,
        assign: Callable[[str], Assigned],
        target: Target | None,
        schema: str,
        epoch: Callable[[], str],
        served: Callable[[str, Assigned, str], None] = lambda _user, _assigned, _transport: None,
        away: Callable[[], bool] = lambda: False,
        live: LiveWay = "broadcast",
        fallback: FallbackSection | None = None,
        authenticated: Authenticated | None = None,
        gives_tokens: bool = True,
        token_ttl_s: float = 3600.0,
    ) -> None:
        self._assign = assign
        self._served = served
        self._away = away
        self._target = target
        self._channel = channel(schema)
        self._live = live
        self._epoch = epoch
        self._fallback = fallback or FallbackSection()
        self._authenticated = authenticated
        if authenticated is None and target is not None:
            self._authenticated = authenticated_of(target)
        if not gives_tokens:
            self._authenticated = None
        self._token_ttl_s = token_ttl_s

    def follow(self, fallback: FallbackSection, *, token_ttl_s: float) -> None:
        """Answer with this from now on."""
        self._fallback = fallback
        self._token_ttl_s = token_ttl_s

    async def get(self, request: web.Request) -> web.StreamResponse:
        user = request.query.get("user", "")
        if not 0 < len(user) <= MAX_USER_CHARS:
            return refusal(
                400,
                "value",
                f"user must have 1 to {MAX_USER_CHARS} characters: /api/transport?user=WHO",
                field="user",
            )
        try:
            return answer(200, await self.document(user, now()), as_is=True)
        except (Transient, Systemic) as error:
            return refusal(503, "token", f"{error.what}; {error.do}", headers={"Retry-After": "5"})

    async def document(self, user: str, moment: datetime) -> dict[str, object]:
        """The answer. version: of the flag set that said so, 0 where none did. The token is null where nobody here makes one:
        the client brings its own then.

        Raises Transient or Systemic where Realtime is assigned and there is no token now. Who is
        assigned the WebSocket gets no token then:
        it can begin without.
        """
        target = self._target
        assigned = self._assign(user)
        goes_now = assigned.variant
        if goes_now == "realtime" and self._away():
            goes_now = "websocket"
        token, ends = None, None
        if target is not None and self._authenticated is not None:
            try:
                token, ends = await self._authenticated.token(self._token_ttl_s, now=moment)
            except (Transient, Systemic) as error:
                log.error("no token for subscribers", reason=error.what, do=error.do)
                if goes_now == "realtime":
                    raise
        self._served(user, assigned, goes_now)
        return {
            "transport": goes_now,
            "assigned": assigned.variant,
            "version": assigned.n,
            "reason": assigned.reason,
            "epoch": self._epoch(),
            "supabase_url": target.supabase_url if target is not None else None,
            "anon_key": target.anon_key if target is not None else None,
            "channel": self._channel if target is not None else None,
            "live": self._live if target is not None else None,
            "access_token": token,
            "expires_at": format_time(ends) if ends is not None else None,
            "fallback": {
                "hold_seconds": self._fallback.hold_s,
                "to_realtime": self._fallback.to_realtime,
                "max_spread_s": self._fallback.max_spread_s,
            },
        }
