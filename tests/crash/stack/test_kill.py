"""Real processes, real signals: no owner leaves an orphan, no part loses what was committed."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from migctl import stack as stacks
from migctl.stack import PARTS, EmbeddedStack, state
from migctl.stack.process import Process
from tests.kit.owners import start_owner

DEADLINE_S = 20


def all_processes(parts: dict[str, Process]) -> list[Process]:
    """The parts and everything below them (PostgreSQL has a process for each session)."""
    found = list(parts.values())
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in {process.pid for process in parts.values()} and (
                child := Process.of(int(folder.name))
            ):
                found.append(child)
    return found


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / ".migctl"
    yield folder
    stacks.down(folder)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[EmbeddedStack]:
    with EmbeddedStack(tmp_path / "stack") as running:
        yield running


def test_kill_9_of_the_owner_leaves_no_process(tmp_path: Path) -> None:
    owner, parts, _ = start_owner(tmp_path / "stack")
    processes = all_processes(parts)
    assert len(processes) > 3
    owner.kill()
    owner.wait()
    assert [process for process in processes if not process.wait_gone(DEADLINE_S)] == []


def test_kill_9_of_the_owner_takes_even_a_stopped_stand_in_along(tmp_path: Path) -> None:
    owner, parts, _ = start_owner(tmp_path / "stack")
    parts["standin"].signal(signal.SIGSTOP)
    parts["valkey"].signal(signal.SIGSTOP)
    owner.kill()
    owner.wait()
    assert [process for process in parts.values() if not process.wait_gone(DEADLINE_S)] == []


def test_folder_is_usable_at_once_after_its_owner_was_killed(tmp_path: Path) -> None:
    owner, _, url = start_owner(tmp_path / "stack")
    with psycopg.connect(url) as connection:
        connection.execute("create table public.kept as select 42 as answer")
    owner.kill()
    owner.wait()
    with (
        EmbeddedStack(tmp_path / "stack") as again,
        psycopg.connect(again.target.need("database_url")) as connection,
    ):
        assert connection.execute("select answer from public.kept").fetchone() == (42,)


def test_killed_part_stays_down_until_it_is_started_and_comes_back_on_its_port(stack: EmbeddedStack) -> None:
    before = {status.part: status for status in stack.status()}
    stack.kill("standin")
    assert [status.part for status in stack.status() if not status.up] == ["standin"]
    stack.start_part("standin")
    after = {status.part: status for status in stack.status()}
    assert after["standin"].up
    assert after["standin"].port == before["standin"].port
    assert after["standin"].process != before["standin"].process
    assert after["postgres"] == before["postgres"]


def test_killed_postgres_comes_back_with_what_was_committed_though_sessions_were_open(
    stack: EmbeddedStack,
) -> None:
    url = stack.target.need("database_url")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table public.kept as select 42 as answer")
        stack.kill("postgres")
        stack.start_part("postgres")
    with psycopg.connect(url) as connection:
        assert connection.execute("select answer from public.kept").fetchone() == (42,)


def test_stack_whose_parts_were_stopped_by_a_signal_still_ends_cleanly(tmp_path: Path) -> None:
    stack = EmbeddedStack(tmp_path / "stack")
    stack.start()
    for part in PARTS:
        stack.kill(part, signal.SIGSTOP)
    stack.stop()
    assert not [status for status in stack.status() if status.up]
    assert "database system is shut down" in (tmp_path / "stack" / "postgres" / "postgres.log").read_text()


def test_killed_valkey_comes_back_with_what_it_acknowledged(stack: EmbeddedStack) -> None:
    url = stack.target.need("redis_url")
    redis.Redis.from_url(url).set("kept", "42")
    stack.kill("valkey")
    stack.start_part("valkey")
    assert redis.Redis.from_url(url).get("kept") == b"42"


def test_kill_9_of_the_supervisor_leaves_no_process_and_up_works_again(state_dir: Path) -> None:
    before = stacks.up(state_dir)
    record = state.read(state_dir)
    assert record is not None
    processes = all_processes(dict(record.parts))
    record.supervisor.signal(signal.SIGKILL)
    assert [process for process in processes if not process.wait_gone(DEADLINE_S)] == []
    assert not stacks.status(state_dir).up
    target, started = stacks.ensure(state_dir)
    assert started
    assert target.jwt_secret == before.jwt_secret


def test_kill_9_in_the_middle_of_the_first_start_leaves_a_folder_that_starts(tmp_path: Path) -> None:
    for after_s in (0.3, 0.6, 0.9):
        pid = os.fork()
        if pid == 0:  # a copy of this process, so its main thread owns what it starts
            try:
                EmbeddedStack(tmp_path / "stack").start()
            finally:
                os._exit(0)
        child = Process.of(pid)
        if child is not None:
            child.wait_gone(after_s)  # it has this long, and is killed wherever it is by then
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    with (
        EmbeddedStack(tmp_path / "stack") as stack,
        psycopg.connect(stack.target.need("database_url")) as connection,
    ):
        assert connection.execute("select count(*) from realtime.messages").fetchone() == (0,)


def test_supervisor_outlives_the_session_that_started_it_and_sigterm_stops_all(state_dir: Path) -> None:
    stacks.up(state_dir)
    record = state.read(state_dir)
    assert record is not None
    assert os.getsid(record.supervisor.pid) != os.getsid(0)
    record.supervisor.signal(signal.SIGTERM)
    for process in (record.supervisor, *record.parts.values()):
        assert process.wait_gone(DEADLINE_S)
    # A clean shutdown, not a crash that the next start has to recover from.
    assert "database system is shut down" in (state_dir / "stack" / "postgres" / "postgres.log").read_text()
