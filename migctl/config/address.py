"""Addresses as people write them: of a running `serve`, and whether one is this machine."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from migctl import redaction
from migctl.errors import Usage

_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:]+\]|[^\s:/@?#]+):\d{1,5}(/|\Z)")


def socket_url(url: str) -> str:
    """`ws(s)://HOST:PORT/ws` of a `serve`, written as `base_url` takes it; where a ws:// has a path, that is it. Raises Usage."""
    base, parts = base_url(url), urlsplit(url)
    if parts.scheme in ("ws", "wss") and parts.path.strip("/"):
        return url
    return f"ws{base.removeprefix('http')}/ws"


def base_url(url: str) -> str:
    """`http(s)://HOST:PORT[/PATH]` of what may be written with ws://, without a scheme, or end in /ws. Raises Usage."""
    redaction.know_address(url)
    try:
        parts = urlsplit(url if "://" in url or not _HOST_AND_PORT.match(url) else f"http://{url}")
        good = parts.scheme in ("http", "https", "ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise Usage(
            f"{url!r} is no address of a server", do="write where `migctl serve` listens: http://HOST:PORT"
        )
    scheme = parts.scheme.replace("ws", "http")
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/ws')}"


def is_loopback(host: str) -> bool:
    """True for localhost, 127.0.0.0/8 and ::1. Other names are not looked up: what they resolve to can change."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def is_local(url: str) -> bool:
    """True where the address is this machine: a proxy of the environment must not be asked then."""
    return is_loopback(urlsplit(url).hostname or "")


def socket_host(url: str) -> str | None:
    """The host of `ws(s)://[USER:PASSWORD@]HOST[:PORT][/PATH][?QUERY]`; None where this is no such address."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - it is read out of the address when it is asked for
    except ValueError:
        return None
    blank = any(char.isspace() or not char.isprintable() for char in url)
    lonely = parts.username is not None and parts.password is None
    if parts.scheme not in ("ws", "wss") or blank or lonely or parts.fragment or url.endswith("#"):
        return None
    return parts.hostname or None
