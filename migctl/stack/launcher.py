"""Launcher: starts the programs of the stack so that none outlives its owner, and none runs as root that refuses to.

A launched child gets a signal when its owner dies, however it dies (PR_SET_PDEATHSIG). The kernel ties this to the **thread** that
started the child, so `launch` insists on the main thread.
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from migctl.config.files import make_private_folder, open_private_log, write_whole
from migctl.errors import MigctlError, Transient, Usage
from migctl.stack.process import Process, wait_until

_ROOT = Path("/")
_SHIM = Path(__file__).with_name("shim.py")
_KEEP_LOG_BYTES = 8 << 20
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
# How far below that range any port is tried, and how often at random.
_WIDTH = 16384
_TRIES = 100


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a child runs as, in the shim's words: `same`, `namespace:UID` or `UID:GID`."""

    shim: str = "same"


OURSELVES = Identity()


class Child:
    """A child process of ours and its log."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path, log_start: int) -> None:
        """log_start: bytes that the log had before the child could write to it."""
        self._popen = popen
        self.log = log
        self._log_start = log_start
        born = Process.of(popen.pid)
        # Gone already: its own pid, and a birth that no process has.
        self.process = born or Process(popen.pid, "gone")

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self.exit_code is None

    @property
    def exit_code(self) -> int | None:
        """As `Popen.returncode`: below 0 the signal that killed it. None while it is there.

        Not by Popen's own `poll` and `wait`: an interrupt between its lock and its `try` leaves the lock taken, and whoever waits
        for the child then, to end it, waits for ever. Here it may come anywhere: the kernel's answer stays until it is kept.
        """
        if self._popen.returncode is None:
            try:
                found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:  # somebody else has waited for it, and has its code
                return self._popen.returncode if self._popen.returncode is not None else -signal.SIGKILL
            if found is None:
                return None
            by_itself = found.si_code == os.CLD_EXITED
            self._popen.returncode = found.si_status if by_itself else -found.si_status
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)
        return self._popen.returncode

    def stop(self, sig: signal.Signals, timeout_s: float) -> bool:
        """Ask it to end, wait, and kill it at the deadline. True where it ended by itself."""
        if not self.alive:
            return True
        self.send(sig)
        self.send(signal.SIGCONT)  # one that was stopped would not hear it
        if wait_until(lambda: not self.alive, timeout_s):
            return True
        self.send(signal.SIGKILL)
        wait_until(lambda: not self.alive, math.inf)
        return False

    def send(self, sig: signal.Signals) -> None:
        """Send a signal; nothing happens where it is gone."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def wait(self, timeout_s: float) -> int:
        """Its exit code. Raises TimeoutError at the deadline."""
        wait_until(lambda: not self.alive, timeout_s)
        code = self.exit_code
        if code is None:
            raise TimeoutError(f"pid {self.pid} is still there after {timeout_s} s")
        return code

    def log_tail(self, *, lines: int = 8) -> str:
        """The last lines it has written to its log since it was launched."""
        with self.log.open("rb") as file:
            file.seek(min(self._log_start, file.seek(0, os.SEEK_END)))
            text = file.read().decode("utf-8", "replace")
        return "\n".join(text.strip().splitlines()[-lines:])


def launch(
    program: Sequence[str],
    *,
    log: Path,
    death: signal.Signals,
    identity: Identity = OURSELVES,
    environ: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    cwd: Path = _ROOT,
) -> Child:
    """Start a program (absolute path first) in a session of its own; its output goes to the end of `log`.

    death: the signal it gets when the calling thread ends. Secrets go by `environ`, `stdin` or a file: a command line is read by
    every user of the machine. Raises Usage where the log can't be written.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "launch() must run in the main thread: the child dies with the thread that started it"
        )
    if not sys.platform.startswith("linux"):
        raise Usage(
            f"the embedded stack runs on Linux only, and this is {sys.platform}",
            do="set SUPABASE_URL, SUPABASE_SECRET_KEY and DATABASE_URL to use a project or `supabase start`",
        )
    with _open_log(log) as output:
        log_start = output.seek(0, os.SEEK_END)
        popen = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                str(_SHIM),
                str(os.getpid()),
                str(int(death)),
                identity.shim,
                *program,
            ],
            stdin=stdin,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env=dict(environ) if environ is not None else None,
            start_new_session=True,
            umask=0o077,
        )
        return Child(popen, log, log_start)


def _open_log(log: Path) -> BinaryIO:
    try:
        make_private_folder(log.parent)
        if log.exists() and log.stat().st_size > _KEEP_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        return open_private_log(log)
    except OSError as error:
        raise not_writable(log, error) from None


def write_private(path: Path, text: str) -> None:
    """Put `text` into `path` whole or not at all, readable by the owner only. Raises Usage where that can't be written."""
    try:
        make_private_folder(path.parent)
        write_whole(path, text)
    except OSError as error:
        raise not_writable(path, error) from None


def not_writable(path: Path, error: OSError) -> MigctlError:
    """The error for a place of the stack that can't be written."""
    return Usage(
        f"{path}: {error.strerror or error}: the embedded stack keeps its data here",
        do="make the folder writable, or name another with MIGCTL_STATE_DIR",
    )


def installed(package: str, wheel: str, *path: str) -> Path:
    """A file of a wheel that brings programs, found without importing it (imports of these packages have side effects)."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise Usage(f"the wheel {wheel} is not installed", do=f"pip install {wheel}, or install migctl again")
    found = Path(next(iter(spec.submodule_search_locations))).joinpath(*path)
    if not found.is_file():
        raise Usage(
            f"the wheel {wheel} has no {'/'.join(path)} for this machine",
            do=f"pip install --force-reinstall {wheel}; or set SUPABASE_URL to use another target",
        )
    return found


def port_is_free(port: int) -> bool:
    """Whether a listener on loopback could have this port now."""
    with socket.socket() as probe:
        # As servers do: a port in TIME_WAIT is free, a listener's is not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def any_free_port() -> int:
    """A port that nobody has now, and that no outgoing connection will be given before a listener takes it."""
    first_outgoing = _first_outgoing_port()
    for _ in range(_TRIES):
        port = first_outgoing - 1 - secrets.randbelow(_WIDTH)
        if port_is_free(port):
            return port
    return first_free_port(first_outgoing - _WIDTH)


def _first_outgoing_port() -> int:
    """Where the system's own range begins, from which it takes the near end of outgoing connections."""
    try:
        return max(int(_OUTGOING.read_text("ascii").split()[0]), 1024 + _WIDTH)
    except (OSError, ValueError, IndexError):
        return 32768


def first_free_port(start: int, *, but: frozenset[int] = frozenset()) -> int:
    """The first port from `start` on that is free and not in `but`. Raises Transient where there is none."""
    for port in range(start, min(start + 1000, 65536)):
        if port not in but and port_is_free(port):
            return port
    raise Transient(
        f"no port from {start} to {start + 999} is free on 127.0.0.1", do="end what listens there: ss -ltnp"
    )
