"""A process is named by pid and birth; a zombie and a reused pid are not it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess

from migctl.stack.process import Process, wait_until


def test_our_own_process_is_alive() -> None:
    ours = Process.of(os.getpid())
    assert ours is not None
    assert ours.alive


def test_reused_pid_is_not_taken_for_the_old_process() -> None:
    assert not Process(os.getpid(), "long ago").alive
    assert not Process(os.getpid(), "long ago").signal(signal.SIGKILL)


def test_zombie_counts_as_dead() -> None:
    child = subprocess.Popen(["/bin/sleep", "60"])
    process = Process.of(child.pid)
    assert process is not None
    child.kill()
    assert process.wait_gone(10)  # nobody has waited for it, so the kernel still lists it
    assert Process.of(child.pid) is None
    child.wait()


def test_name_with_brackets_and_spaces_does_not_confuse(tmp_path) -> None:  # type: ignore[no-untyped-def]
    program = tmp_path / "a) Z 1 (b"
    program.symlink_to("/bin/sleep")
    child = subprocess.Popen([program, "60"])
    process = Process.of(child.pid)
    assert process is not None
    assert process.alive
    child.kill()
    child.wait()


def test_waiting_ends_at_the_deadline() -> None:
    assert not wait_until(lambda: False, 0.02)


def test_listener_is_told_from_who_only_knows_the_port() -> None:
    ours = Process.of(os.getpid())
    assert ours is not None
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert ours.listens_on(port)
        with subprocess.Popen(["/bin/sleep", "60"]) as child:
            other = Process.of(child.pid)
            assert other is not None
            assert not other.listens_on(port)
            child.kill()
        with socket.create_connection(("127.0.0.1", port)) as client:
            assert not ours.listens_on(client.getsockname()[1]), "connected is not listening"
    assert not ours.listens_on(port)
    assert not Process(2**22, "gone").listens_on(port)
