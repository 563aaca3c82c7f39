"""`migctl drill proxy` as a process of its own, and a server to put behind it."""

from __future__ import annotations

import json
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.kit.serve_process import environment


class Proxying(NamedTuple):
    """ready: the line that it printed."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.ready["api"])


@contextmanager
def proxying(folder: Path, *options: str) -> Iterator[Proxying]:
    """Its API is on a free port."""
    words = ["drill", "proxy", "--listen", "127.0.0.1:0", "-o", "json", *options]
    process = subprocess.Popen(
        [sys.executable, "-m", "migctl", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=environment(folder),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield Proxying(process, json.loads(line))
    finally:
        process.kill()
        process.communicate()


class _Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        try:
            while line := self.rfile.readline():
                self.wfile.write(line)
        except ConnectionError:  # a reset is what some faults are
            pass


@contextmanager
def echoing() -> Iterator[int]:
    """The port of a server that answers each line with itself."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
