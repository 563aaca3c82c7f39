"""Ctrl-C of what would go on: exit code 130, and no error is spoken of."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from migctl.exits import Exit
from migctl.stack import logs
from tests.cli.test_doors import HOSTED
from tests.kit.conditions import until
from tests.kit.endings import FILES
from tests.kit.serve_process import begin

WITHIN_S = 120.0
# {here}: where somebody takes connections, and says nothing.
WAITING = [
    "tail --url {here}",
    "capture -t websocket --out c --url {here} --wait 60",
    "status --watch --url {here}",
    "status --url {here}",
    "sources --url {here}",
    "map preview ws://{here}/ws --within 60",
    "validate watch --url {here}",
    "rollout status --watch",
    "rollout run --reason x --yes",
    "rollout set 25 --reason x --yes",
    "schema apply --yes",
    "flags list",
]


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(WITHIN_S)
        yield server


def interrupted(folder: Path, process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    code, said = process.wait(WITHIN_S), (folder / "err").read_text()
    assert (code, "error" in said.lower().replace("connecterror", "")) == (Exit.INTERRUPTED, False), said


@pytest.mark.parametrize("words", WAITING)
@pytest.mark.slow
def test_what_waits_for_others(tmp_path: Path, silent: socket.socket, words: str) -> None:
    here = f"127.0.0.1:{silent.getsockname()[1]}"
    more = {**HOSTED, "SUPABASE_URL": f"http://{here}", "DATABASE_URL": f"postgresql://u:p@{here}/d"}
    command = words.format(here=here).split()
    process = begin(tmp_path, *command, out=tmp_path / "out", err=tmp_path / "err", more=more)
    try:
        taken, _ = silent.accept()
        with taken:
            interrupted(tmp_path, process)
    finally:
        process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("words", ["demo", "replay old.ndjson"])
def test_what_brings_up_a_stack_of_its_own(tmp_path: Path, words: str) -> None:
    (tmp_path / "old.ndjson").write_text(FILES["old.ndjson"])
    (tmp_path / "err").touch()
    process = begin(tmp_path, *words.split(), out=tmp_path / "out", err=tmp_path / "err")
    try:
        asyncio.run(until(lambda: (tmp_path / "err").read_text() != ""))
        interrupted(tmp_path, process)
    finally:
        process.kill()


def test_a_log_that_is_followed(tmp_path: Path) -> None:
    (tmp_path / "stack").mkdir(mode=0o700)
    (tmp_path / "out").touch()
    process = begin(tmp_path, "stack", "logs", "standin", "-f", out=tmp_path / "out", err=tmp_path / "err")
    try:
        path = logs.path(tmp_path, "standin")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one line\n")
        asyncio.run(until(lambda: "one line" in (tmp_path / "out").read_text()))
        interrupted(tmp_path, process)
    finally:
        process.kill()
