"""Supervisor: the small process that owns the stack of a state folder and outlives the terminal that asked for it.

What it does after signals, which may have come together (`decide`):

| came                          | it                                                                                              |
|-------------------------------|-------------------------------------------------------------------------------------------------|
| SIGTERM or SIGINT, any others | stops the parts in order and leaves                                                             |
| SIGHUP                        | starts the parts that are down, but those that were stopped, and the stand-in anew where other  |
|                               | options are wanted for it                                                                       |
| SIGUSR1                       | stops and starts the parts of which this was wanted since, and no others                        |
| SIGCHLD alone                 | says of each part that went down, once, that it did; a part that dies stays down                |

When it is killed itself, the kernel takes its parts along (launcher), so nothing is left behind.

`python -m migctl.stack.supervisor STATE_DIR TURN` says how the start went in one line of JSON on stdout, then detaches. TURN is the
descriptor of the lock by which commands take turns; it is let go when the start has succeeded or failed, and not before, whatever
became of the command.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from migctl import telemetry
from migctl.errors import MigctlError
from migctl.exits import Exit
from migctl.stack import state
from migctl.stack.embedded import PARTS, EmbeddedStack, Part, Ports
from migctl.stack.process import Process

_log = telemetry.get_logger("stack")


Action = Literal["leave", "start", "change", "look"]


def decide(signals: Collection[int]) -> Action:
    """What to do after these. Pure; table above."""
    if signal.SIGTERM in signals or signal.SIGINT in signals:
        return "leave"
    if signal.SIGHUP in signals:
        return "start"
    return "change" if signal.SIGUSR1 in signals else "look"


def newly_down(down: Collection[str], before: Collection[str]) -> list[str]:
    """The parts whose going down was not said yet. One that came back, and goes down again, is said again."""
    return sorted(set(down) - set(before))


class Supervisor:
    """Owns one EmbeddedStack, and answers signals one after the other."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._stack = EmbeddedStack(
            state_dir / "stack", ports=self._ports(), standin=state.read_wanted(state_dir)
        )
        self._revision = 0
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._down: Collection[str] = ()
        self._stopped: tuple[Part, ...] = ()

    def listen(self) -> None:
        """From now on a signal is a byte to read, never an interruption of what is being done."""
        self._wake_writer.setblocking(False)
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD):
            signal.signal(sig, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)

    def start(self) -> None:
        state.forget_wish(self._state_dir)
        self._stack.start()
        self._write({})

    def serve(self) -> None:
        """Answer signals until one of them means the end; then the parts are stopped."""
        while True:
            action = decide(set(self._wake_reader.recv(64)))
            if action == "leave":
                break
            if action == "start":
                self._start_missing()
            elif action == "change":
                self._write(self._change_parts())
            self._notice()
        _log.info("stopping")
        self._stack.stop()
        _log.info("stopped")

    def _change_parts(self) -> dict[str, str]:
        """Stop the parts that are wanted down, and start those that are wanted up by name; why one did not start."""
        try:
            wish = state.read_wish(self._state_dir)
        except MigctlError:  # whoever asked has written it, and will say that it was not answered
            return {}
        before, self._stopped = self._stopped, wish.stopped
        for part in reversed(wish.stopped):
            if part not in before:
                self._stack.stop_part(part)
                _log.info("part stopped", part=part)
        return self._start(wish.start)

    def _start_missing(self) -> None:
        errors = self._change_parts()  # word of both may have come together
        with contextlib.suppress(
            MigctlError
        ):  # whoever asked has written it, and will say that it was not answered
            self._stack.change_standin(state.read_wanted(self._state_dir))
            self._stack.change_keys()
        self._write(errors | self._start([part for part in PARTS if part not in self._stopped]))

    def _start(self, parts: Collection[Part]) -> dict[str, str]:
        """Those of them that are down; why one did not start."""
        errors: dict[str, str] = {}
        for status in self._stack.status():
            if status.up or status.part not in parts:
                continue
            try:
                self._stack.start_part(status.part)
                _log.info("part started", part=status.part, port=status.port)
            except MigctlError as error:
                errors[status.part] = error.what
                _log.error("part did not start", part=status.part, error=error.what)
        return errors

    def _notice(self) -> None:
        down = {
            status.part
            for status in self._stack.status()
            if not status.up and status.part not in self._stopped
        }
        for part in newly_down(down, self._down):
            _log.warning("part is down; `migctl stack up` starts it again", part=part)
        self._down = down

    def _write(self, errors: dict[str, str]) -> None:
        self._revision += 1
        ourselves = Process.of(os.getpid())
        assert ourselves is not None
        statuses = self._stack.status()
        state.write(
            self._state_dir,
            state.Record(
                target=self._stack.target,
                ports=Ports(**{status.part: status.port for status in statuses}),
                supervisor=ourselves,
                parts={status.part: status.process for status in statuses if status.process is not None},
                revision=self._revision,
                errors=errors,
                note=self._stack.note,
                standin=self._stack.standin_options,
                stopped=self._stopped,
            ),
        )

    def _ports(self) -> Ports:
        # The same as last time where they are free: clients keep their address over a restart.
        with contextlib.suppress(MigctlError):
            before = state.read(self._state_dir)
            if before is not None:
                return before.ports
        return Ports()


def main(state_dir: Path, turn: int) -> int:
    """Detach, start the stack, report, serve. The exit code is that of the parent which detached."""
    if os.fork() != 0:
        return 0  # whoever started us has nothing left to reap
    os.set_inheritable(turn, False)  # the parts outlive the start
    telemetry.configure()
    supervisor = None
    try:
        supervisor = Supervisor(state_dir)
        supervisor.listen()
        supervisor.start()
    except MigctlError as error:
        _report({"error": error.what, "do": error.do, "exit_code": error.exit_code})
        return error.exit_code
    except BaseException as error:
        _report(
            {
                "error": f"{type(error).__name__}: {error}",
                "do": "report it with the log",
                "exit_code": Exit.OURS,
            }
        )
        raise
    _report({"pid": os.getpid()})
    os.close(turn)
    supervisor.serve()
    return 0


def _report(document: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # whoever asked may be gone; the stack is up nonetheless
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()
    # The reader waits for the end of this pipe, and children must not hold it either.
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
