"""runbooks/game-day.md: its commands run, and those that take minutes have the options that it gives them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from migctl.config import Target
from migctl.drills import catalog
from migctl.drills.functions.checking import read
from tests.kit.deadletters import Commands, environ_of

PAGE = (Path(__file__).parents[2] / "runbooks" / "game-day.md").read_text()
BLOCKS = re.findall(r"```(sh)?\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [line for kind, block in BLOCKS if kind for line in block.splitlines()]
LONG = [
    line for kind, block in BLOCKS if not kind for line in block.splitlines() if line.startswith("migctl ")
]


def test_every_command_of_the_page_ends_well(
    standin: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Commands(tmp_path, environ_of(standin), monkeypatch, capsys)
    assert len(COMMANDS) > 5
    for line in COMMANDS:
        program, *words = shlex.split(line)
        assert program == "migctl", line
        done = run(*words)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def test_what_takes_minutes_has_drills_and_options_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = Commands(tmp_path, {}, monkeypatch, capsys)("drill", "run", "--help").stdout
    assert len(LONG) > 3
    for line in LONG:
        words = shlex.split(line)[2:]
        assert [word for word in words if word.startswith("--") and word not in options] == [], line
        names = [word for word in words if word in catalog.names()]
        assert names or "--all" in words, line
        if "--without" in words:
            assert words[words.index("--without") + 1] in read(catalog.path_of(names[0])).drill.without, line


def test_every_drill_of_its_table_is_there() -> None:
    names = re.findall(r"^([a-z-]+) +(?:pass|fail) ", PAGE, re.MULTILINE)
    assert len(names) > 3
    assert [name for name in names if name not in catalog.names()] == []
