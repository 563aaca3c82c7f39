"""Where a proxy listens and passes to: HOST:PORT, on this machine alone. Faults are sent elsewhere only where that is asked for."""

from __future__ import annotations

import re
from typing import NamedTuple

from migctl.config.address import is_loopback

HOST = "127.0.0.1"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:%-]{0,251}[A-Za-z0-9.])?|[0-9A-Fa-f:.]+")


class Address(NamedTuple):
    """A host, and a port of it. Port 0: a free one is taken."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(text: str, *, elsewhere: bool = False) -> Address:
    """Read `HOST:PORT`; without a host it is 127.0.0.1, without anything a free port of it.

    elsewhere: it may be another machine's. Raises ValueError: no such form, or another machine's.
    """
    host, colon, port = text.rpartition(":")
    if not text:
        return Address(HOST, 0)
    if not colon or not port.isascii() or not port.isdecimal() or int(port[:6]) > 65535:
        raise ValueError(f"{text!r} is no address: write 127.0.0.1:PORT")
    host = host.removeprefix("[").removesuffix("]") or HOST
    if not elsewhere and not is_loopback(host):
        raise ValueError(f"{text!r} is not this machine: faults stay on 127.0.0.1, ::1 and localhost")
    if not _NAME.fullmatch(host) or (":" not in host and not _labels_fit(host)):
        raise ValueError(f"{text!r} has no host that could be connected to")
    # A name could come to mean something else.
    return Address(HOST if host.lower() == "localhost" else host, int(port))


def _labels_fit(host: str) -> bool:
    return all(0 < len(label) < 64 for label in host.removesuffix(".").split("."))
