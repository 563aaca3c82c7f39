"""`-q` and `-v`: one meaning for all commands, before the words of a command and after them."""

from __future__ import annotations

from pathlib import Path

import pytest

from migctl.exits import Exit
from tests.kit.deadletters import Commands
from tests.kit.endings import listed


def test_every_command_has_both_and_none_means_something_else_by_them() -> None:
    for name, command in listed().items():
        flags = [flag for option in command.params for flag in option.opts]
        assert [flags.count(flag) for flag in ("-q", "-v")] == [1, 1], name


def test_quiet_leaves_errors_and_what_stands_on_stdout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    migctl = Commands(tmp_path, {}, monkeypatch, capsys)
    usual = migctl("config", "show")
    assert "file: none" in usual.stderr
    for words in (("-q", "config", "show"), ("config", "show", "--quiet")):
        quiet = migctl(*words)
        assert (quiet.returncode, quiet.stdout, quiet.stderr) == (Exit.DONE, usual.stdout, "")
    assert "error: " in migctl("-q", "tail", "--url", "127.0.0.1:9", "--wait", "0").stderr
    assert migctl("config", "show").stderr == usual.stderr
    both = migctl("-q", "config", "show", "-v")
    assert (both.returncode, "--quiet and --verbose" in both.stderr) == (Exit.UNUSABLE, True)
