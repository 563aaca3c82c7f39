"""Guard: asks `access` about every request, and says no in the way the client can read.

A socket is refused after it was accepted, with close code 4401: a browser sees only 1006 otherwise. What comes over the control
socket passes: the file's mode has asked already.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from migctl.config import Settings
from migctl.config.address import is_loopback
from migctl.errors import Refused, Usage
from migctl.server.access.rules import Asking, Denied, Rules
from migctl.server.access.tokens import Token, Tokens, presented_in
from migctl.server.answers import refusal
from migctl.telemetry import get_logger
from migctl.transports.websocket import frames, resume
from migctl.transports.websocket.upstream import TOKEN_IS_OURS, TOKEN_NAME, points_at

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TOKEN = web.RequestKey("token", Token)
SOCKET_PATH = "/ws"

log = get_logger("server")


def check_listen(host: str, port: int, tokens: Tokens = Tokens()) -> None:  # noqa: B008 - frozen
    """Raises Refused where other machines could reach the listener, and nothing would ask them for a token."""
    if not is_loopback(host) and not tokens:
        raise Refused(
            f"--listen {host}:{port} can be reached from other machines, and no tokens guard it",
            do="set MIGCTL_TOKENS (`migctl token mint` makes entries), or listen on 127.0.0.1:PORT",
        )


def check_upstream(settings: Settings) -> None:
    """Raises Usage where the old service would be this one: each socket would open the next."""
    upstream = settings.legacy.upstream
    if upstream is not None and points_at(upstream, settings.listen_host, settings.listen_port):
        raise Usage(
            f"legacy.upstream {upstream} is where this serve listens itself: {settings.listen}",
            do="let the old service listen elsewhere, and name that address",
        )


def name_of(request: web.Request) -> str:
    """Whose token the request passed with; empty where it needed none."""
    token = request.get(TOKEN)
    return token.name if token is not None else ""


def over_control_socket(request: web.Request) -> bool:
    """True where it came through the socket file in the state folder."""
    transport = request.transport
    connection = transport.get_extra_info("socket") if transport is not None else None
    return connection is not None and connection.family == socket.AF_UNIX


def guard(rules: Rules, refused: Counter[str]) -> Middleware:
    """The middleware that lets pass or refuses. refused: counted by code."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if over_control_socket(request):
            return await handler(request)
        if len(request.headers.getall("Host", [])) > 1:
            return refusal(403, "origin", "more than one Host")
        asking = _asking(request)
        if asking.presented is not None and rules.tokens.match(asking.presented):
            request[TOKEN_IS_OURS] = True
        decision = rules.decide(asking)
        if isinstance(decision, Denied):
            refused[decision.code] += 1
            return await _refuse(request, decision)
        if decision.token is not None:
            request[TOKEN] = decision.token
            request[TOKEN_NAME] = decision.token.name
        return await handler(request)

    return check


def _asking(request: web.Request) -> Asking:
    offered = resume.subprotocols_in(request.headers.get("Sec-WebSocket-Protocol", ""))
    is_socket = request.path == SOCKET_PATH
    return Asking(
        method=request.method,
        path=request.path,
        host=request.headers.get("Host"),
        origin=request.headers.get("Origin"),
        peer=request.remote or "",
        presented=presented_in(request.headers.get("Authorization"), offered if is_socket else ()),
        legacy=is_socket and not resume.opts_in(request.query, offered),
    )


async def _refuse(request: web.Request, denied: Denied) -> web.StreamResponse:
    log.warning(
        "request refused",
        method=request.method,
        path=request.path,
        peer=request.remote,
        status=denied.status,
        reason=denied.reason,
    )
    if request.path == SOCKET_PATH and denied.code != "origin":
        closing = web.WebSocketResponse(protocols=(frames.SUBPROTOCOL,), compress=False, timeout=2.0)
        if closing.can_prepare(request).ok:
            await closing.prepare(request)
            await closing.close(code=frames.UNAUTHENTICATED, message=denied.reason.encode()[:123])
            return closing
    headers = {"WWW-Authenticate": 'Bearer realm="migctl"'} if denied.status == 401 else None
    return refusal(denied.status, denied.code, denied.reason, headers=headers)
