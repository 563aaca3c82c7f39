"""docs/configuration.md: its commands run, and the keys that it lists are those of a stage."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from migctl.rollout.stages import Stage
from tests.kit.deadletters import Commands

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def test_every_command_of_the_page_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    run = Commands(tmp_path, {}, monkeypatch, capsys)
    said = {}
    for line in COMMANDS:
        done = run(*shlex.split(line)[1:])
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        said[line] = done.stdout
    assert "configs/stages/2c-deprecate.yaml" in said["migctl config check"]
    assert json.loads(said["migctl config check --output json"])["ok"]
    shown = json.loads(said["migctl config show --resolved --stage 2b-25 --output json"])
    assert shown["origins"]["fallback.to_realtime"].startswith("configs/stages/2b-25.yaml:")


def test_every_key_of_a_stage_stands_on_the_page() -> None:
    table = PAGE.split("## Stages")[1]
    for key in set(Stage.model_fields) - {"stage", "title"}:
        assert f"`{key}" in table, key


def test_every_command_there_is_stands_on_the_page() -> None:
    from migctl.cli.config import app

    names = {
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    }
    assert names == {line.split()[2] for line in COMMANDS}
