"""kill -9 at any moment, of `stack up` and of commands that write: nothing refuses the next, and no half file stays."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from migctl import stack as stacks
from migctl.stack.process import Process, wait_until
from tests.kit.serve_process import environment, run, serving_process

KILLS = int(os.environ.get("MIGCTL_KILLS", "12"))
SEED = int(os.environ.get("MIGCTL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("real_starts")]


def of_folder(folder: Path) -> list[Process]:
    """Processes whose command line names it: the command, the supervisor, parts."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in (path / "cmdline").read_bytes() and int(path.name) != os.getpid():
                process = Process.of(int(path.name))
                if process is not None:
                    found.append(process)
    return found


def killed_after(words: list[str], folder: Path, after_s: float, more: dict[str, str]) -> None:
    """Begin the command; kill it wherever it is by then, with the stack that it has begun."""
    process = subprocess.Popen(
        [sys.executable, "-m", "migctl", *words],
        env=environment(folder, more), cwd=folder.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)


def leftovers(folder: Path) -> list[str]:
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.suffix in (".new", ".tmp", ".pw") or ".part" in path.name
    ]


def aged(folder: Path) -> None:
    """As it would be a while later: what was left half written a moment ago might still be somebody's."""
    for name in leftovers(folder):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            os.utime(folder / name, (1, 1))


@pytest.mark.parametrize("also", ["supervisor", "command"])
def test_stack_up_that_was_killed_at_any_moment_comes_up_the_next_time(tmp_path: Path, also: str) -> None:
    """also: of what it started, the supervisor is killed too, with the parts that die with it."""
    chance = random.Random(SEED)
    folder = tmp_path / "home" / ".migctl"
    folder.parent.mkdir()
    more = {"MIGCTL_STATE_DIR": str(folder)}
    try:
        for number in range(KILLS // 2):
            after_s = chance.uniform(0.2, 3.0)
            killed_after(["stack", "up"], folder, after_s, more)
            if also == "supervisor":
                for process in of_folder(folder):
                    process.signal(signal.SIGKILL)
            if number % 3 == 2:
                ended = run(folder.parent, "stack", "up", more=more)
                assert ended.returncode == 0, (
                    f"seed {SEED}, kill {number} after {after_s:.2f} s: {ended.stderr}"
                )
                assert run(folder.parent, "stack", "down", more=more).returncode == 0
        aged(folder)
        ended = run(folder.parent, "stack", "up", more=more)
        assert ended.returncode == 0, f"seed {SEED}: {ended.stderr}"
        assert leftovers(folder) == []
    finally:
        stacks.down(folder)
        wait_until(lambda: not of_folder(folder), 20)


@pytest.mark.parametrize("then", ["up", "down"])
def test_a_start_whose_command_was_killed_is_waited_for(tmp_path: Path, then: str) -> None:
    """Its supervisor goes on; who comes next must neither be refused nor pass it by."""
    folder = tmp_path / "home" / ".migctl"
    folder.parent.mkdir()
    more = {"MIGCTL_STATE_DIR": str(folder)}
    command = subprocess.Popen(
        [sys.executable, "-m", "migctl", "stack", "up"],
        env=environment(folder, more), cwd=folder.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        assert wait_until(lambda: any(is_supervisor(each) for each in of_folder(folder)), 60)
        command.kill()
        command.wait(60)
        ended = run(folder.parent, "stack", then, more=more)
        assert ended.returncode == 0, ended.stderr
        assert stacks.status(folder).up == (then == "up")
        if then == "down":
            assert of_folder(folder) == []
    finally:
        stacks.down(folder)
        wait_until(lambda: not of_folder(folder), 20)


def is_supervisor(process: Process) -> bool:
    with contextlib.suppress(OSError):
        return b"migctl.stack.supervisor" in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    return False


def test_a_half_of_a_file_that_is_whole_by_now_goes_at_the_next_start(tmp_path: Path) -> None:
    from migctl.config.files import make_state_folder

    folder = tmp_path / ".migctl"
    (folder / "stack").mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)
    (folder / "stack" / "keys.json").write_text("{}")
    (folder / "stack" / ".keys.json.4194303.part").write_text("{")
    aged(folder)
    make_state_folder(folder)
    assert leftovers(folder) == []


def test_a_half_written_file_in_a_folder_that_has_nothing_else_yet_refuses_nobody(tmp_path: Path) -> None:
    folder = tmp_path / ".migctl"
    (folder / "stack").mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)
    for name in ("standin.json", "keys.json", "processes.json"):
        (folder / "stack" / f".{name}.4194303.part").write_text("{")
    aged(folder)
    try:
        stacks.up(folder)
        assert leftovers(folder) == []
    finally:
        stacks.down(folder)


def test_serve_and_commands_that_were_killed_go_on_the_next_time(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    folder = tmp_path / "home" / ".migctl"
    folder.mkdir(parents=True, mode=0o700)
    more = {"MIGCTL_STATE_DIR": str(folder), "MIGCTL_MODE": "websocket"}
    source = tmp_path / "events.ndjson"
    source.write_text("".join(f'{{"event_type": "a", "data": {{"n": {n}}}}}\n' for n in range(20_000)))
    serve = ["serve", "--listen", "127.0.0.1:0"]
    copy, lines = str(tmp_path / "copy.db"), str(tmp_path / "lines.ndjson")
    for _ in range(KILLS // 2):
        for words in (
            [*serve, "--source", str(source)],
            ["journal", "export", "--out", lines],
            ["journal", "backup", copy],
        ):
            killed_after(words, folder, chance.uniform(0.2, 1.5), more)
    aged(tmp_path)
    with serving_process(folder, more=more) as again:
        assert again.stop()
    for words in (["journal", "verify"], ["journal", "export", "--out", lines], ["journal", "backup", copy]):
        if len(words) > 2:
            Path(words[-1]).unlink(missing_ok=True)
        ended = run(folder.parent, *words, more=more)
        assert ended.returncode == 0, f"seed {SEED}: {words}: {ended.stderr}"
    assert leftovers(tmp_path) == []
