"""The TCP proxy as a process of its own, so that it takes no time from those that are measured; it ends with its owner.

The process is `python -m migctl.faults UPSTREAM`, a port or an address, see `upstream`. It obeys orders on stdin, one a line, until
that ends, and answers each by a line: `{"do": WORD, "value": ...}`, `{"do": "add", "toxic": {...}}`,
`{"do": "remove", "value": NAME}` and `{"do": "enable", "value": true}`.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from migctl.events.jsontext import read_as
from migctl.faults.addresses import HOST
from migctl.faults.toxics import Toxic
from migctl.faults.ways import Counts, Word

PING_S = 10.0


class Hello(msgspec.Struct):
    """The first that the process says: where the proxy is, and an echo behind another with the same delay."""

    port: int
    echo_port: int


class Order(msgspec.Struct, omit_defaults=True):
    """do: a word of `TcpProxy.do`, or add (a toxic), remove (by its name), enable (true or false)."""

    do: str
    value: float | str | bool | None = None
    toxic: Toxic | None = None


class Answer(msgspec.Struct, omit_defaults=True):
    """error: why it was not obeyed; empty where it was."""

    counts: Counts
    error: str = ""


class ProxyProcess:
    """What a call asks for has taken effect when it returns. Any thread may call. Made by `proxy_process`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._one_order = threading.Lock()
        hello = read_as(self._hear(), Hello)
        self.port, self.echo_port = hello.port, hello.echo_port

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def do(self, word: Word, value: float | str | None = None) -> Counts:
        """As `TcpProxy.do`."""
        return self._ask(Order(word, value))

    def add(self, toxic: Toxic) -> Counts:
        """As `TcpProxy.add`: connections that are open get it too."""
        return self._ask(Order("add", toxic=toxic))

    def remove(self, name: str) -> Counts:
        """As `TcpProxy.remove`. Raises ValueError where there is no toxic of this name."""
        return self._ask(Order("remove", name))

    def enable(self, wanted: bool = True) -> Counts:
        """As `TcpProxy.enable`: False refuses connections, and resets who is there."""
        return self._ask(Order("enable", wanted))

    def _ask(self, order: Order) -> Counts:
        assert self._process.stdin is not None
        with self._one_order:
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")
            self._process.stdin.flush()
            answer = read_as(self._hear(), Answer)
        if answer.error:
            raise ValueError(answer.error)
        return answer.counts

    def ping(self, times: int, *, apart_s: float = 0.0) -> list[float]:
        """Seconds of bare round trips through the proxy, over one connection, one after the other."""
        taken = []
        with socket.create_connection((HOST, self.echo_port), timeout=PING_S) as connection:
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

    def _hear(self) -> bytes:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the proxy has ended ({self._process.poll()})")
        return line


@contextmanager
def proxy_process(upstream: int | str, *, delay_s: float = 0.0) -> Iterator[ProxyProcess]:
    """A proxy in front of upstream: a port of 127.0.0.1, or `http(s)://HOST[:PORT]`.

    It ends when its stdin does, so also when we are killed.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "migctl.faults", str(upstream)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # an interrupt at the terminal is for the owner, who still needs it to end in order
    )
    try:
        proxy = ProxyProcess(process)
        proxy.do("delay", delay_s)
        yield proxy
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
