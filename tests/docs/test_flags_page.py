"""docs/flags.md: its commands run in the order of the page, and say what the page says of them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from migctl.config import Target
from migctl.flags.definitions import read
from tests.kit.deadletters import Commands
from tests.kit.targets import environment_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "flags.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


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
