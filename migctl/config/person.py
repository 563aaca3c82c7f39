"""Who runs a command, for ledgers and audits."""

from __future__ import annotations

import getpass
import socket


def operator() -> str:
    """user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
