"""Which process is meant: a pid alone may be another's by now, so a process is named by pid and birth.

Reads /proc; a zombie counts as dead, because nobody can talk to it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_LISTEN = "0A"  # the kernel's TCP_LISTEN


@dataclass(frozen=True, slots=True)
class Process:
    """One process of this boot: `born` is its start time with the boot's id, so a reused pid is never taken for it."""

    pid: int
    born: str

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this pid now; None where there is none, or only a zombie."""
        born = _born(pid)
        return cls(pid, born) if born is not None else None

    @property
    def alive(self) -> bool:
        return _born(self.pid) == self.born

    def signal(self, sig: signal.Signals) -> bool:
        """Send a signal; False where the process is gone."""
        if not self.alive:
            return False
        try:
            os.kill(self.pid, sig)
        except ProcessLookupError:
            return False
        return True

    def listens_on(self, port: int) -> bool:
        """Whether it, and nobody else, listens on this port of 127.0.0.1. For processes of our own user."""
        wanted = f"0100007F:{port:04X}"
        try:
            lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
            listeners = {
                f"socket:[{fields[9]}]"
                for fields in map(str.split, lines)
                if fields[1] == wanted and fields[3] == _LISTEN
            }
            return any(str(entry.readlink()) in listeners for entry in Path(f"/proc/{self.pid}/fd").iterdir())
        except OSError:
            return False

    def wait_gone(self, timeout_s: float) -> bool:
        """Wait until it is gone; False at the deadline. It need not be our child."""
        return wait_until(lambda: not self.alive, timeout_s)


def wait_until(condition: Callable[[], bool], timeout_s: float, *, every_s: float = 0.01) -> bool:
    """Look every `every_s` seconds until the condition holds; False at the deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True


def _born(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command's name stands in brackets and may hold anything; the fields begin after the last bracket.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return f"{_boot()}:{fields[19]}"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except OSError:
        return "boot"
