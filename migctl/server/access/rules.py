"""Access: whether a request may pass, by what it brings. Pure.

Any web page can send requests to 127.0.0.1, also by a name of its own that resolves there. So where no token is asked for, the
Host must be a loopback name, and an Origin, which browsers send, must be ours. With tokens, each route asks for one of its
purpose; sockets of the old protocol can bring none, and pass by legacy.open or legacy.networks. Loopback is no exemption then: what
a proxy on the same host passes on comes from there too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from migctl.config.address import is_loopback
from migctl.server.access.forwarded import Network, within
from migctl.server.access.held import HeldTokens
from migctl.server.access.tokens import Purpose, Token, Tokens

# Say nothing that a stranger may not know.
_OPEN = frozenset(("/", "/healthz", "/readyz", "/openapi.json", "/client.js"))
# The dashboard's files; what it shows it asks for elsewhere.
_PAGE = "/dashboard/"
_READERS: tuple[Purpose, ...] = ("subscribe", "admin")
_MANAGED = ("/api/flags", "/api/segments")


@dataclass(frozen=True, slots=True)
class Asking:
    """What counts of a request. legacy: it asks for a socket of the old protocol. peer: its address.

    presented: the token. brought: it brings one, or something in its place that is none.
    """

    method: str
    path: str
    host: str | None
    origin: str | None
    peer: str
    presented: str | None = None
    brought: bool = False
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class Granted:
    """token: what it passed with; None where none was needed."""

    token: Token | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """status: 401 no token or an unknown one, 403 another's purpose, or a page of another site (code "origin")."""

    status: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rules:
    """Of one listener. Without tokens nobody beyond this machine reaches it: `check_listen` sees to that."""

    tokens: Tokens | HeldTokens = field(default_factory=Tokens)
    legacy_open: bool = False
    legacy_networks: Sequence[Network] = ()
    origins: Collection[str] = ()

    def decide(self, asking: Asking) -> Granted | Denied:
        needed = purposes_of(asking.method, asking.path)
        matches = self.tokens.match(asking.presented) if asking.presented is not None else ()
        for token in matches:
            if token.purpose in needed:
                return Granted(token)
        if asking.legacy:
            return self._legacy(asking)
        if not self.tokens and asking.path.startswith("/admin/"):
            return Denied(403, "purpose", "without tokens this is for the control socket in the state folder")
        if not self.tokens:
            why = forbidden(asking.host, asking.origin, self.origins)
            return Granted() if why is None else _of_another_site(why)
        if not needed:
            return Granted()
        wanted = f"a token with purpose {' or '.join(needed)}"
        if matches:
            have = " and ".join(sorted({token.purpose for token in matches}))
            return Denied(
                403, "purpose", f"{wanted} is needed here; {matches[0].name!r} has one with purpose {have}"
            )
        if asking.presented is not None:
            return Denied(401, "token", f"the token is not known; {wanted} is needed here")
        how = "send `Authorization: Bearer TOKEN`, never a token in the address"
        return Denied(401, "token", f"{wanted} is needed here; {how}")

    def _legacy(self, asking: Asking) -> Granted | Denied:
        if self.legacy_open or within(asking.peer, self.legacy_networks):
            if asking.origin is None or asking.origin in self.origins or _is_own(asking.origin, asking.host):
                return Granted()
            return _of_another_site(f"Origin {asking.origin!r} is not in legacy.origins")
        if not self.tokens:
            why = forbidden(asking.host, asking.origin, self.origins)
            return Granted() if why is None else _of_another_site(why)
        return Denied(
            401, "token", "a token with purpose subscribe is needed here, or legacy.open or legacy.networks"
        )


def purposes_of(method: str, path: str) -> tuple[Purpose, ...]:
    """Which purposes open a route, any of them; none where nobody is asked. What is not named here is for admin."""
    if path in _OPEN or (path.startswith(_PAGE) and method in ("GET", "HEAD")):
        return ()
    if path == "/events":
        return ("ingest",) if method == "POST" else ("subscribe",)
    if path in ("/ws", "/api/transport", "/api/story", "/api/tail"):
        return ("subscribe",)
    if path in ("/metrics", "/api/status", "/api/status/schema.json"):
        return _READERS
    if path in ("/api/rollout", "/api/drills") and method in ("GET", "HEAD"):
        return _READERS
    if path.startswith("/ofrep/"):
        return ("evaluate",)
    if _is_managed(path) and method in ("GET", "HEAD"):
        return ("evaluate", "admin")
    return ("admin",)


def is_limited(path: str) -> bool:
    """Whether requests to it are counted against the token's allowance of requests: all that is about flags."""
    return path.startswith("/ofrep/") or _is_managed(path)


def _is_managed(path: str) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in _MANAGED)


def forbidden(host: str | None, origin: str | None, origins: Collection[str] = ()) -> str | None:
    """Why a request without a token is refused on loopback, or None where it may pass.

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


def _is_own(origin: str, host: str | None) -> bool:
    """True where a page came from this very address. A name proves nothing: its owner may point it at us."""
    name, port = _split_host(host or "")
    try:
        parts = urlsplit(origin)
        origin_port = parts.port
        if name != "localhost":
            ip_address(name)
    except ValueError:
        return False
    default = 443 if parts.scheme == "https" else 80
    return (
        parts.scheme in ("http", "https")
        and parts.hostname == name
        and (origin_port or default) == (port or default)
    )


def _of_another_site(why: str) -> Denied:
    return Denied(403, "origin", f"{why}; use http://127.0.0.1:PORT, without a browser page of another site")


def _split_host(text: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(f"//{text}")
        if parts.username is not None or parts.path or parts.query or parts.fragment:
            return "", None
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None
