"""Worker: one child of the supervisor, from its start to its end, as the parent knows it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from migctl.config.systemd import VARIABLES
from migctl.resilience import News
from migctl.stack import shim
from migctl.supervision.heart import READY
from migctl.supervision.turn import WARM, Turn
from migctl.supervision.watchdog import Watchdog

_SHIM = Path(shim.__file__)


class Worker:
    """Started by `start`. watchdog hears each of its words. ready_at: on the loop's clock; None until it serves."""

    def __init__(self, process: asyncio.subprocess.Process, ours: socket.socket, changed: News) -> None:
        self.process = process
        self.watchdog = Watchdog()
        self.is_warm = False
        self.ready_at: float | None = None
        self.state = ""
        self._ours = ours
        self._changed = changed
        asyncio.get_running_loop().add_reader(ours, self._hear)

    @classmethod
    async def start(cls, program: Sequence[str], listening: Sequence[socket.socket], changed: News) -> Worker:
        """It warms itself up and waits for its turn. program: of a serve; the descriptors are added. It dies with us, however."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            ours.setblocking(False)
            passed = [theirs.fileno(), *(each.fileno() for each in listening)]
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", str(_SHIM)),
                    *(str(os.getpid()), str(int(signal.SIGKILL)), "same"),
                    *program,
                    *("--worker", ",".join(map(str, passed))),
                    pass_fds=passed,
                    # Ctrl-C is for the parent, which ends it in order.
                    start_new_session=True,
                    env={name: value for name, value in os.environ.items() if name not in VARIABLES},
                )
            except BaseException:
                ours.close()
                raise
        return cls(process, ours, changed)

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    def go(self, turn: Turn) -> None:
        """It is its turn."""
        with suppress(OSError):  # it is gone, which whoever waits for it finds
            self._ours.send(msgspec.json.encode(turn))

    def send(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def close(self) -> None:
        """It is gone: hear it no longer."""
        asyncio.get_running_loop().remove_reader(self._ours)
        self._ours.close()

    def _hear(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                message = self._ours.recv(4096)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                loop.remove_reader(self._ours)
                return
            self.watchdog.hear()
            for word in message.decode("utf-8", "replace").split("\n"):
                if word == WARM:
                    self.is_warm = True
                elif word == READY:
                    self.ready_at = loop.time()
                    self._changed.wake()
                elif word.startswith("STATUS="):
                    self.state = word
