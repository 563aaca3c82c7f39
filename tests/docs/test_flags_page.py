"""docs/flags.md: its commands run in the order of the page, and say what the page says of them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from migctl.config import Target
from migctl.flags.definitions import read
from tests.kit.deadletters import Commands
from tests.kit.managed import ADMIN, EVALUATE, managing
from tests.kit.serve_process import environment
from tests.kit.targets import environment_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "flags.md").read_text()
COMMANDS_BLOCK, HTTP_BLOCK = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = COMMANDS_BLOCK.splitlines()
(PROGRAM,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_every_command_of_the_page_ends_well(
    standin: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Commands(tmp_path, environment_of(standin), monkeypatch, capsys)
    assert len(COMMANDS) > 12
    said = {}
    for line in COMMANDS:
        program, *words = shlex.split(line)
        assert program == "migctl", line
        words = [str(ROOT / word) if word.startswith("configs/") else word for word in words]
        done = run(*words)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        said[line] = done.stdout
    assert "ann: realtime, TARGETING_MATCH, by record" in said["migctl flags eval transport --user ann"]
    bob = "migctl flags eval transport --user bob@example.org --attribute region=eu"
    assert "realtime" in said[bob]
    assert read(json.loads(said["migctl flags export --format flagd"])).flags["transport"].state == "ENABLED"
    assert "0 %, 1 user" in said["migctl flags history"]


def test_every_command_there_is_stands_on_the_page() -> None:
    from migctl.cli.flags import app

    names = {
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    }
    assert names == {line.split()[2] for line in COMMANDS}


def test_every_request_of_the_page_is_answered(standin: Target, tmp_path: Path) -> None:
    with managing(tmp_path / "serve", standin) as serve:
        environ = {**os.environ, "SERVE": serve.url, "ADMIN": ADMIN, "EVALUATE": EVALUATE}
        done = subprocess.run(
            ["bash", "-euxc", HTTP_BLOCK],
            capture_output=True,
            text=True,
            env=environ,
            timeout=180,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert (said[3]["key"], said[3]["value"], said[3]["reason"]) == ("menu", True, "STATIC")
    assert [one["key"] for one in said[4]["flags"]] == ["menu"]
    assert len(said) == 7


@pytest.mark.slow
def test_the_program_of_the_page_evaluates_by_the_record(standin: Target, tmp_path: Path) -> None:
    environ = environment(tmp_path, environment_of(standin))

    def said(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, env=environ, cwd=tmp_path, timeout=180, check=False
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def migctl(*words: str) -> None:
        said("-m", "migctl", "flags", *words, "--yes", "--reason", "a test")

    migctl("import", str(ROOT / "configs" / "flags" / "transport.yaml"))
    assert said("-c", PROGRAM) == "websocket\n"
    migctl("assign", "ann", "realtime")
    assert said("-c", PROGRAM) == "realtime\n"
