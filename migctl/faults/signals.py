"""Signals as faults of a process: killed, or stopped for a while as one that hangs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Struck(Protocol):
    """A process of ours. `send` does nothing where it is gone."""

    def send(self, sig: signal.Signals, /) -> None: ...


def kill(process: Struck) -> None:
    """It ends at once, and puts nothing in order."""
    process.send(signal.SIGKILL)


def stop(process: Struck) -> None:
    """It stands still until `go_on`: its sockets stay open, its kernel still takes bytes, and it answers nothing."""
    process.send(signal.SIGSTOP)


def go_on(process: Struck) -> None:
    process.send(signal.SIGCONT)


@contextmanager
def stopped(process: Struck) -> Iterator[None]:
    """Stopped for as long as the block lasts."""
    stop(process)
    try:
        yield
    finally:
        go_on(process)
