"""Guard: asks `access` about every request, and says no in the way the client can read.

A socket is refused after it was accepted, with close code 4401: a browser sees only 1006 otherwise. What comes over the control
socket passes: the file's mode has asked already. An address that brings wrong tokens again and again gets 429 for the next, for a
socket too, which is not accepted then; a right token passes whatever its neighbours do.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from migctl.clock import mono
from migctl.config import Settings
from migctl.config.address import is_loopback
from migctl.errors import Refused, Usage
from migctl.server.access.allowance import retry_after
from migctl.server.access.held import HeldTokens
from migctl.server.access.rules import Asking, Denied, Rules
from migctl.server.access.strangers import Strangers
from migctl.server.access.tokens import Token, Tokens, presented_in
from migctl.server.answers import refusal
from migctl.telemetry import get_logger
from migctl.transports.websocket import frames, resume
from migctl.transports.websocket.upstream import TOKEN_IS_OURS, TOKEN_NAME, points_at

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TOKEN = web.RequestKey("token", Token)
SOCKET_PATH = "/ws"
# Lines of the log about what an address is refused; the rest is counted.
LOGGED, LOGGED_WITHIN_S = 20, 60.0

log = get_logger("server")


def check_listen(host: str, port: int, tokens: Tokens | HeldTokens = Tokens()) -> None:  # noqa: B008 - frozen
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


def owner_of(request: web.Request) -> str:
    """Who has the token that the request passed with, whichever of theirs it is; empty where it needed none."""
    token = request.get(TOKEN)
    return token.owner if token is not None else ""


def over_control_socket(request: web.Request) -> bool:
    """True where it came through the socket file in the state folder."""
    transport = request.transport
    connection = transport.get_extra_info("socket") if transport is not None else None
    return connection is not None and connection.family == socket.AF_UNIX


def guard(rules: Rules, refused: Counter[str], wrong: Strangers | None = None) -> Middleware:
    """The middleware that lets pass or refuses. refused: counted by code. wrong: counts wrong tokens; None: any number of them."""
    logged = Strangers(LOGGED, LOGGED_WITHIN_S)

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
            peer, now = request.remote or "", mono()
            if (
                wrong is not None
                and decision.status == 401
                and asking.brought
                and (wait_s := wrong.again(peer, now))
            ):
                decision = Denied(
                    429, "rate", "too many wrong tokens came from this address; a right one passes"
                )
            else:
                wait_s = 0.0
            refused[decision.code] += 1
            if not logged.again(peer, now):
                _log(request, decision)
            return await _refuse(request, decision, wait_s)
        if decision.token is not None:
            request[TOKEN] = decision.token
            request[TOKEN_NAME] = decision.token.name
        return await handler(request)

    return check


def _asking(request: web.Request) -> Asking:
    offered = resume.subprotocols_in(request.headers.getall("Sec-WebSocket-Protocol", ()))
    is_socket = request.path == SOCKET_PATH
    authorization = request.headers.get("Authorization")
    presented = presented_in(authorization, offered if is_socket else ())
    return Asking(
        method=request.method,
        path=request.path,
        host=request.headers.get("Host"),
        origin=request.headers.get("Origin"),
        peer=request.remote or "",
        presented=presented,
        brought=authorization is not None or presented is not None,
        legacy=is_socket and not resume.opts_in(request.query, offered),
    )


def _log(request: web.Request, denied: Denied) -> None:
    log.warning(
        "request refused",
        method=request.method,
        path=request.path,
        peer=request.remote,
        status=denied.status,
        reason=denied.reason,
    )


async def _refuse(request: web.Request, denied: Denied, wait_s: float) -> web.StreamResponse:
    if request.path == SOCKET_PATH and denied.code not in ("origin", "rate"):
        closing = web.WebSocketResponse(protocols=(frames.SUBPROTOCOL,), compress=False, timeout=2.0)
        if closing.can_prepare(request).ok:
            await closing.prepare(request)
            await closing.close(code=frames.UNAUTHENTICATED, message=denied.reason.encode()[:123])
            return closing
    headers = {"WWW-Authenticate": 'Bearer realm="migctl"'} if denied.status == 401 else {}
    if wait_s:
        headers["Retry-After"] = retry_after(wait_s)
    return refusal(denied.status, denied.code, denied.reason, headers=headers)
