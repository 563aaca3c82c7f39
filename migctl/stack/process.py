"""Which process is meant: a pid alone may be another's by now, so a process is named by pid and birth.

A zombie counts as dead, because nobody can talk to it. psutil identifies processes by a time of birth that moves when the clock is
set, which is no name to write into a file; so that one thing is read here.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


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
        import psutil

        try:
            connections = psutil.Process(self.pid).net_connections("tcp4")
        except psutil.Error:
            return False
        return any(
            each.status == psutil.CONN_LISTEN and each.laddr == ("127.0.0.1", port) for each in connections
        )

    def wait_gone(self, timeout_s: float) -> bool:
        """Wait until it is gone; False at the deadline. It need not be our child."""
        return wait_until(lambda: not self.alive, timeout_s)


def wait_until(condition: Callable[[], bool], timeout_s: float, *, every_s: float = 0.01) -> bool:
    """Probe every `every_s` seconds until the condition holds; False at the deadline."""
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
