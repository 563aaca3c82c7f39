"""What the service manager of systemd wants to hear, as its environment says (sd_notify(3), sd_watchdog_enabled(3))."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

# What is meant for one process, and not for those that it starts.
VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


@dataclass(frozen=True, slots=True)
class Systemd:
    """socket: a path, or `@NAME`; None where nobody wants to hear. watchdog_s: it kills us after this silence; None: never."""

    socket: str | None
    watchdog_s: float | None


def systemd(environ: Mapping[str, str] | None = None, *, pid: int | None = None) -> Systemd:
    """A watchdog that is meant for another process (WATCHDOG_PID), or whose time is no number above 0, is none."""
    env = os.environ if environ is None else environ
    socket = env.get("NOTIFY_SOCKET") or None
    usec, for_pid = env.get("WATCHDOG_USEC", ""), env.get("WATCHDOG_PID", "")
    ours = not for_pid or for_pid == str(os.getpid() if pid is None else pid)
    wanted = socket is not None and ours and usec.isascii() and usec.isdigit() and int(usec) > 0
    return Systemd(socket, int(usec) / 1e6 if wanted else None)
