"""A state folder that is not ours alone: no command believes a file in it, speaks to a socket in it, or ends what it names."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from migctl.config import Settings, Target
from migctl.runtime.flags import target_name
from migctl.stack.process import Process
from tests.cli.test_main import migctl
from tests.kit import needs
from tests.kit.other_user import NOBODY

SUPABASE = "http://127.0.0.1:9"
HOSTED = {
    "SUPABASE_URL": SUPABASE,
    "SUPABASE_ANON_KEY": "anon-key-of-nobody",
    "SUPABASE_SERVICE_ROLE_KEY": "service-key-of-nobody",
    "SUPABASE_JWT_SECRET": "secret-of-nobody-" * 2,
    "DATABASE_URL": "postgresql://u:p@127.0.0.1:9/d",
    "MIGCTL_TOKEN": "token-that-a-trap-would-get",
}
COMMANDS = [
    "serve --listen 127.0.0.1:0",
    "status",
    "validate watch",
    "clients",
    "subscribers",
    "deadletter list",
    "deadletter retry --all",
    "flags list",
    "flags eval transport --user u",
    "flags processes",
    "flags history",
    "rollout status",
    "rollout plan",
    "rollout run --yes --reason r",
    "rollout set 10 --yes --reason r",
    "rollout promote --yes --reason r",
    "rollout pause",
    "rollout complete --yes --reason r",
    "stack status",
    "stack env",
    "stack logs",
    "stack down",
    "stack stop valkey",
    "stack fault --list",
]


@dataclass
class Planted:
    """A folder with all that an attacker would put there, and the sockets that notice whoever falls for it."""

    folder: Path
    traps: list[socket.socket]
    victim: subprocess.Popen[bytes]

    def is_unharmed(self) -> bool:
        for trap in self.traps:
            trap.setblocking(False)
            try:
                trap.accept()
            except BlockingIOError:
                continue
            return False
        return self.victim.poll() is None


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Planted]:
    folder = tmp_path / "s"
    (folder / "stack").mkdir(parents=True)
    by_path, by_port = socket.socket(socket.AF_UNIX), socket.create_server(("127.0.0.1", 0))
    by_path.bind(str(folder / "serve.sock"))
    by_path.listen()
    url = f"http://127.0.0.1:{by_port.getsockname()[1]}"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as victim:
        process = Process.of(victim.pid)
        assert process is not None
        documents = {
            "serve.json": {"pid": victim.pid, "url": url, "mode": "dual", "started_at": "2026-01-31T12:00:00Z"},
            "flag-processes.json": {
                "target": target_name(Settings(), Target(supabase_url=SUPABASE)),
                "known": [
                    {"id": "p", "name": "p", "url": url, "started_at": "2026-01-31T12:00:00Z", "seen_at": "2026-01-31T12:00:00Z"}
                ],
            },
            "stack.json": {
                "schema": "migctl.stack/1", "revision": 1, "supabase_url": url, "anon_key": "a", "service_role_key": "b",
                "jwt_secret": "c", "database_url": "postgresql://u:p@127.0.0.1:9/d", "redis_url": "redis://127.0.0.1:9",
                "ports": {"postgres": 9, "valkey": 9, "standin": 9},
                "supervisor": {"pid": process.pid, "born": process.born}, "parts": {},
            },
        }  # fmt: skip
        for name, document in documents.items():
            (folder / name).write_text(json.dumps(document))
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o777)
        yield Planted(folder, [by_path, by_port], victim)
        victim.kill()
    by_path.close()
    by_port.close()


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_refuses_a_folder_that_others_can_write_to(
    planted: Planted, tmp_path: Path, command: str
) -> None:
    environ = {} if command.startswith("stack") else HOSTED
    ended = migctl(*command.split(), cwd=tmp_path, MIGCTL_STATE_DIR=str(planted.folder), **environ)
    assert "other users can write to the state folder (mode 0777)" in ended.stderr
    assert f"chmod go-w {planted.folder}" in ended.stderr
    assert ended.returncode == 4
    assert planted.is_unharmed()


@pytest.mark.slow
@needs.as_root
@pytest.mark.parametrize(
    "command",
    ["serve --listen 127.0.0.1:0", "status", "validate watch", "flags list", "stack env", "stack down"],
)
def test_a_command_refuses_a_folder_of_another_user(planted: Planted, tmp_path: Path, command: str) -> None:
    for path in (planted.folder, *planted.folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
        path.chmod(0o700)
    environ = {} if command.startswith("stack") else HOSTED
    ended = migctl(*command.split(), cwd=tmp_path, MIGCTL_STATE_DIR=str(planted.folder), **environ)
    assert f"the state folder belongs to another user (uid {NOBODY}" in ended.stderr
    assert ended.returncode == 4
    assert planted.is_unharmed()


@pytest.mark.slow
def test_going_down_waits_for_no_mending_and_believes_nothing_of_it(planted: Planted, tmp_path: Path) -> None:
    ended = migctl(
        "rollout", "abort", "--yes", "--reason", "r", cwd=tmp_path, MIGCTL_STATE_DIR=str(planted.folder), **HOSTED
    )  # fmt: skip
    assert "0 of 1 process confirmed" in ended.stdout + ended.stderr
    assert "other users can write to the state folder" in ended.stderr
    assert ended.returncode == 1
    assert planted.is_unharmed()
