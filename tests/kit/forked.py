"""One command after the other, each a process of its own that is forked from one with all the imports: they are most of what a
command costs, and a test that gives twenty of them would wait for little else.

`python -m tests.kit.forked SOCKET` takes a connection for each: a line of JSON in, its exit code out.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from tests.kit.serve_process import environment

ROOT = Path(__file__).parents[2]
STARTS_WITHIN_S = 60.0
ENDS_WITHIN_S = 180.0


def run(folder: Path, *words: str, more: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """As `serve_process.run`."""
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place, "out"), Path(place, "err")
        order = {
            "arguments": words,
            "environ": environment(folder, more),
            "cwd": str(folder),
            "out": str(out),
            "err": str(err),
        }
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ENDS_WITHIN_S)
            connection.connect(_nursery())
            connection.sendall(json.dumps(order).encode() + b"\n")
            with connection.makefile() as answer:
                code = answer.readline()
        assert code, f"{words}: its parent ended before it"
        return subprocess.CompletedProcess(words, int(code), out.read_text(), err.read_text())


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
        os.dup2(os.open(str(name), os.O_RDWR | os.O_CREAT, 0o600), number)
    random.seed()
    sys.argv = ["migctl", *order["arguments"]]  # type: ignore[misc]
    from migctl.cli.main import main

    sys.exit(main())


def _serve(where: str) -> None:
    import migctl.cli.main
    import migctl.cli.rollout_complete
    import migctl.cli.rollout_run
    import migctl.runtime.flagging
    import migctl.runtime.rollout_complete
    import migctl.runtime.rollout_moves
    import migctl.runtime.rollout_status
    import migctl.runtime.walking  # noqa: F401

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
        _, status = os.waitpid(pid, 0)
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
