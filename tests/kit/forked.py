"""Commands, each a process of its own that is forked from one with all the imports: they are most of what a command costs, and
two processors would do little else.

`python -m tests.kit.forked SOCKET` takes a connection for each: a line of JSON in, its exit code out.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import pkgutil
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import migctl
from tests.kit.serve_process import environment

ROOT = Path(__file__).parents[2]
STARTS_WITHIN_S = 60.0
ENDS_WITHIN_S = 180.0


class Forked:
    """As `subprocess.Popen` has a process. out, err: paths, that are appended to."""

    def __init__(
        self, folder: Path, *words: str, out: Path, err: Path, more: Mapping[str, str] | None = None
    ) -> None:
        order = {
            "arguments": words,
            "environ": environment(folder, more),
            "cwd": str(folder),
            "out": str(out),
            "err": str(err),
        }
        self.args = words
        self.returncode: int | None = None
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(_nursery())
        self._connection.sendall(json.dumps(order).encode() + b"\n")
        self._heard = b""
        self.pid = self._next(STARTS_WITHIN_S)

    def _next(self, within_s: float | None) -> int:
        """The next number that its parent says. Raises TimeoutExpired."""
        end = None if within_s is None else time.monotonic() + within_s
        while b"\n" not in self._heard:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([self._connection], [], [], left)[0]:
                raise subprocess.TimeoutExpired(self.args, within_s or 0)
            more = self._connection.recv(100)
            assert more, f"{self.args}: its parent ended before it"
            self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        return int(line)

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.returncode = self._next(timeout)
            self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(folder: Path, *words: str, more: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place, "out"), Path(place, "err")
        process = Forked(folder, *words, out=out, err=err, more=more)
        try:
            code = process.wait(ENDS_WITHIN_S)
        finally:
            process.kill()
        return subprocess.CompletedProcess(words, code, out.read_text(), err.read_text())


@functools.cache
def _nursery() -> str:
    """The socket of the one of this process, which ends with it."""
    folder = tempfile.TemporaryDirectory()
    where = str(Path(folder.name, "sock"))
    nursery = subprocess.Popen(
        [sys.executable, "-m", "tests.kit.forked", where], stdin=subprocess.PIPE, cwd=ROOT
    )

    def end() -> None:
        nursery.kill()
        nursery.wait()
        folder.cleanup()

    atexit.register(end)
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not Path(where).exists():
        assert nursery.poll() is None, "it did not start"
        assert time.monotonic() < deadline, "it did not start in time"
        time.sleep(0.01)
    return where


def _live(order: dict[str, object]) -> NoReturn:
    """The whole life of a command."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(order["environ"])  # type: ignore[call-overload]
    os.chdir(str(order["cwd"]))
    for number, name in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
        os.dup2(os.open(str(name), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), number)
    random.seed()
    sys.argv = ["migctl", *order["arguments"]]  # type: ignore[misc]
    from migctl.cli.main import main

    sys.exit(main())


def _everything() -> None:
    """Import what a command may need, as far as that is here."""
    for found in pkgutil.walk_packages(migctl.__path__, "migctl."):
        if not found.name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # of an extra that is not installed
                import_module(found.name)


def _serve(where: str) -> None:
    _everything()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{where}.new")
        listener.listen(16)
        Path(f"{where}.new").rename(where)  # whoever finds it may connect
        while True:
            if sys.stdin in select.select([listener, sys.stdin], [], [])[0]:
                return  # who asks is gone
            connection, _ = listener.accept()
            if os.fork() == 0:
                break
            connection.close()
    # Here is who waits for one command.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection, connection.makefile() as lines:
        order = json.loads(lines.readline())
        pid = os.fork()
        if pid == 0:
            connection.close()
            _live(order)
        connection.sendall(f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(BrokenPipeError):  # who asked is gone
            connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
