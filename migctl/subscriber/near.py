"""Near: whether an address is of this machine. A proxy of the environment, and compression, are for the world outside."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_near(url: str) -> bool:
    """True for loopback addresses and names."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
