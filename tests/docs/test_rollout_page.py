"""docs/rollout.md: its commands run in the order of the page, and say what the page says of them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from migctl.config import Target
from tests.kit.deadletters import Commands
from tests.kit.targets import environment_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rollout.md").read_text()
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
        done = run(*words)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        said[line] = done.stdout
    status = json.loads(said["migctl rollout status --output json"])
    assert (status["flag"], status["variants"]) == ("transport", ["websocket", "realtime"])
    assert status["effective"]["segments"] == {"internal": 100}
    (watched,) = said["migctl rollout status --watch --timeout 5"].splitlines()
    assert "awaits `migctl rollout resume`, or `promote`" in watched
    assert "promote-forced" in said["migctl rollout history"]


def test_every_command_there_is_stands_on_the_page() -> None:
    from migctl.cli.rollout import app

    names = {
        command.name or command.callback.__name__
        for command in app.registered_commands
        if command.callback and not command.hidden
    }
    assert names == {line.split()[2] for line in COMMANDS}
