"""Where a proxy listens and passes to: HOST:PORT, on this machine alone. Faults are sent nowhere else."""

from __future__ import annotations

from typing import NamedTuple

from migctl.config.address import is_loopback

HOST = "127.0.0.1"


class Address(NamedTuple):
    """A host of this machine, and a port of it. Port 0: a free one is taken."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(text: str) -> Address:
    """Read `HOST:PORT`; without a host it is 127.0.0.1. Raises ValueError: no such form, or another machine's."""
    host, colon, port = text.rpartition(":")
    if not text:
        return Address(HOST, 0)
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is no address: write 127.0.0.1:PORT")
    host = host.removeprefix("[").removesuffix("]") or HOST
    if not is_loopback(host):
        raise ValueError(f"{text!r} is not this machine: faults stay on 127.0.0.1, ::1 and localhost")
    # A name could come to mean something else.
    return Address(HOST if host.lower() == "localhost" else host, int(port))
