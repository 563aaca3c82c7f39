"""Guard: who may speak to a listener that asks for no token.

Any web page can send requests to 127.0.0.1, also by a name of its own that resolves there. So on loopback the Host must be a
loopback name, and an Origin, which browsers send, must be ours; and without tokens nothing listens beyond loopback.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from migctl.errors import Refused
from migctl.server.answers import refusal

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def is_loopback(host: str) -> bool:
    """True for localhost, 127.0.0.0/8 and ::1. Other names are not looked up: what they resolve to can change."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def check_listen(host: str, port: int) -> None:
    """Raises Refused where other machines could reach the listener: nothing would ask them for a token."""
    if not is_loopback(host):
        raise Refused(
            f"--listen {host}:{port} can be reached from other machines, and no tokens guard it",
            do="listen on 127.0.0.1:PORT, and let others in through an SSH tunnel",
        )


def forbidden(host: str | None, origin: str | None, origins: Collection[str] = ()) -> str | None:
    """Why a request with these headers is refused, or None where it may pass.

    origins: further origins that may pass, such as http://localhost:3000 of a dashboard's development server.
    """
    name, port = _split_host(host or "")
    if not is_loopback(name):
        return f"Host {host!r} is no loopback name"
    if origin is None or origin in origins:
        return None
    try:
        parts = urlsplit(origin)
        origin_port = parts.port
    except ValueError:
        return f"Origin {origin!r} is not ours"
    if parts.scheme not in ("http", "https") or not is_loopback(parts.hostname or ""):
        return f"Origin {origin!r} is not ours"
    default = 443 if parts.scheme == "https" else 80
    if (origin_port or default) != (port or default):
        return f"Origin {origin!r} is not ours: another port is another site"
    return None


def _split_host(text: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(f"//{text}")
        if parts.username is not None or parts.path or parts.query or parts.fragment:
            return "", None
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None


def guard(origins: Collection[str] = ()) -> Middleware:
    """The middleware that refuses with 403."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        hosts = request.headers.getall("Host", [])
        why = (
            forbidden(hosts[0] if hosts else None, request.headers.get("Origin"), origins)
            if len(hosts) < 2
            else "more than one Host"
        )
        if why is not None:
            return refusal(
                403, "origin", f"{why}; use http://127.0.0.1:PORT, without a browser page of another site"
            )
        return await handler(request)

    return check
