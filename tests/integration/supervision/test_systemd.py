"""A serve that systemd watches: over a real datagram socket it hears when it is ready, that it lives, and that it ends."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kit.serve_process import serving_process

HEARD_WITHIN_S = 30.0


@contextmanager
def _listening(name: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if name.startswith("@") else name)
        manager.settimeout(HEARD_WITHIN_S)
        yield manager


def _hear(manager: socket.socket, word: str) -> list[str]:
    """The messages up to the one that has this word."""
    heard: list[str] = []
    while not heard or word not in heard[-1].split("\n"):
        heard.append(manager.recv(4096).decode())
    return heard


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_when_serve_is_ready_and_when_it_ends(tmp_path: Path, abstract: bool) -> None:
    name = f"@migctl-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with (
        _listening(name) as manager,
        serving_process(tmp_path, "--mode", "websocket", more={"NOTIFY_SOCKET": name}) as serve,
    ):
        assert f"STATUS=serving: websocket on {serve.url}" in _hear(manager, "READY=1")[-1]
        serve.stop()
        assert _hear(manager, "STOPPING=1") == ["STOPPING=1"]  # and no beat: no watchdog was asked for


def test_the_watchdog_hears_a_beat_while_the_loop_turns_and_none_while_it_hangs(tmp_path: Path) -> None:
    name = str(tmp_path / "notify")
    more = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "600000"}
    with (
        _listening(name) as manager,
        serving_process(tmp_path, "--mode", "websocket", more=more) as serve,
    ):
        _hear(manager, "READY=1")
        began = time.monotonic()
        for _ in range(3):
            _hear(manager, "WATCHDOG=1")
        assert time.monotonic() - began < 5 * 0.6
        serve.send(signal.SIGSTOP)
        manager.settimeout(1.2)
        with pytest.raises(TimeoutError):
            for _ in range(20):  # those that were under way
                _hear(manager, "WATCHDOG=1")
        serve.send(signal.SIGCONT)
        manager.settimeout(HEARD_WITHIN_S)
        _hear(manager, "WATCHDOG=1")
