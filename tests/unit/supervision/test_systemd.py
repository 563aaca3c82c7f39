"""What systemd's environment asks for, and a heart that nobody hears."""

from __future__ import annotations

import socket

import pytest

from migctl.config.systemd import systemd
from migctl.supervision import READY, Heart

SOCKET = {"NOTIFY_SOCKET": "/run/notify"}


def test_without_a_socket_nobody_hears_and_there_is_no_watchdog() -> None:
    found = systemd({"WATCHDOG_USEC": "1000000"})
    assert (found.socket, found.watchdog_s) == (None, None)


def test_the_watchdog_is_read_in_microseconds() -> None:
    assert systemd(SOCKET | {"WATCHDOG_USEC": "1500000"}).watchdog_s == 1.5


@pytest.mark.parametrize("usec", ["", "0", "-1", "1.5", "soon", "\u0661"])
def test_a_time_that_is_no_number_is_no_watchdog(usec: str) -> None:
    assert systemd(SOCKET | {"WATCHDOG_USEC": usec}).watchdog_s is None


def test_a_watchdog_for_another_process_is_not_ours() -> None:
    asked = SOCKET | {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "17"}
    assert systemd(asked, pid=18).watchdog_s is None
    assert systemd(asked, pid=17).watchdog_s == 1.0


def test_who_is_not_heard_goes_on() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    theirs.close()
    with ours:
        Heart(ours).send(READY)


def test_a_reader_that_hangs_holds_nobody_up() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        heart = Heart(ours)
        for _ in range(10_000):
            heart.send(READY)
