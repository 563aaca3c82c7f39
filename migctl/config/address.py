"""The address of a running `serve`, as people write it."""

from __future__ import annotations

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
