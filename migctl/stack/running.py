"""Running: what each part of the stack is while this process owns it: a child on a port, begun, awaited, signalled and stopped."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from migctl.errors import Transient
from migctl.stack.launcher import Child
from migctl.stack.process import Process, wait_until


class Running(ABC):
    """A part on `port`. `begin` starts its child; of those begun together each is then awaited by `wait_ready`."""

    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    stop_s: ClassVar[float] = 5.0

    def __init__(self, port: int) -> None:
        self.port = port
        self._child: Child | None = None

    @abstractmethod
    def begin(self) -> None:
        """Start it, and wait for nothing. Raises MigctlError where it can't be started here at all."""

    @abstractmethod
    def wait_ready(self) -> None:
        """Wait until it can be used. Raises Transient with its own words where it doesn't come up."""

    @property
    def process(self) -> Process | None:
        return self._child.process if self._child is not None else None

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    def start(self) -> None:
        """Start it and wait until it can be used."""
        self.begin()
        self.wait_ready()

    def stop(self) -> None:
        """Ask it to end, and kill it where it doesn't. Nothing that was committed is lost."""
        if self._child is not None:
            self._child.stop(self.stop_signal, self.stop_s)

    def send(self, sig: signal.Signals) -> None:
        if self._child is not None:
            self._child.send(sig)

    def wait(self, timeout_s: float) -> int:
        """Wait for its end; the exit code. Raises TimeoutError."""
        return self._child.wait(timeout_s) if self._child is not None else 0

    def _wait_for(self, what: str, answers: Callable[[], bool], within_s: float) -> None:
        """Wait until our child is who has the port, and answers. what: its name for people."""
        child = self._child
        assert child is not None

        def ours() -> bool:  # whoever else has the port may answer just as well
            return child.process.listens_on(self.port) and answers()

        up = wait_until(lambda: not child.alive or ours(), within_s, every_s=0.005)
        if not up or not child.alive:
            child.stop(signal.SIGKILL, 5)
            raise Transient(
                f"{what} did not start: {child.log_tail() or f'exit code {child.exit_code}'}",
                do=f"see {child.log}",
            )
