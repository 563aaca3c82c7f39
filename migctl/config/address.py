"""Addresses as people write them: of a running `serve`, and whether one is this machine."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from migctl.errors import Usage


def base_url(url: str) -> str:
    """`http(s)://HOST:PORT[/PATH]` of what may be written with ws:// or end in /ws. Raises Usage."""
    try:
        parts = urlsplit(url)
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
