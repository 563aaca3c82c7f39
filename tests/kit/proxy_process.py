"""The TCP proxy as a process of its own, so that it takes no time from those that are measured; it ends with its owner."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class ProxyProcess:
    """Told by words, each of which has taken effect when the call returns (see TcpProxy). Made by `proxy_process`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        said = self._hear()
        self.port: int = said["port"]
        self.echo_port: int = said["echo_port"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tell(self, word: str, value: Any = None) -> dict[str, int]:
        """word: delay (seconds each way), refuse, reset, black_hole, lose_answers (to requests with this text), cut_after
        (bytes of answers), heal, look. Returns the counts.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": word, "value": value}) + "\n")
        self._process.stdin.flush()
        return self._hear()

    def ping(self, times: int, *, apart_s: float = 0.0) -> list[float]:
        """Seconds of bare round trips through the proxy, over one connection, one after the other."""
        taken = []
        with socket.create_connection(("127.0.0.1", self.echo_port), timeout=10) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(b"0")  # the first pays for the connection too
            connection.recv(1)
            for _ in range(times):
                began = time.perf_counter()
                connection.sendall(b"1")
                connection.recv(1)
                taken.append(time.perf_counter() - began)
                time.sleep(apart_s)
        return taken

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the proxy has ended ({self._process.poll()})")
        said: dict[str, Any] = json.loads(line)
        return said


@contextmanager
def proxy_process(upstream: int, *, delay_s: float = 0.0) -> Iterator[ProxyProcess]:
    """A proxy in front of 127.0.0.1:upstream. It ends when its stdin does, so also when we are killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.kit.tcp_proxy", str(upstream)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,  # an interrupt at the terminal is for the owner, who still needs it to end in order
    )
    try:
        proxy = ProxyProcess(process)
        proxy.tell("delay", delay_s)
        yield proxy
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
