"""Lists of commands at 80 columns: each command has a whole sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.deadletters import Commands


def test_no_sentence_is_cut_in_a_list_of_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    migctl = Commands(tmp_path, {}, monkeypatch, capsys)
    left: list[tuple[str, ...]] = [()]
    listed = 0
    while left:
        words = left.pop()
        _, is_group, commands = migctl(*words, "--help").stdout.partition("\nCommands:\n")
        for line in commands.partition("\n\n")[0].splitlines() if is_group else ():
            name, _, sentence = line.strip().partition("  ")
            assert sentence.rstrip().endswith("."), (words, line)
            assert not sentence.rstrip().endswith("..."), (words, line)
            left.append((*words, name))
            listed += 1
    assert listed > 60
