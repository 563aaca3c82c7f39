"""An option that does nothing without another is refused with both names, before anything is asked or done."""

from __future__ import annotations

from pathlib import Path

import pytest

from migctl.exits import Exit
from tests.kit.deadletters import Commands
from tests.kit.serve_process import run

LACKING = [
    ("status --timeout 5s", "--watch"),
    ("rollout status --timeout 5s", "--watch"),
    ("rollout run --inject 2b-50:loss", "--dry-run"),
    ("schema verify --timeout 5s", "--delivery"),
    ("schema rollback --confirm postgres", "--drop-data"),
    ("flags processes --reason gone", "--forget"),
    ("flags processes --dry-run", "--forget"),
    ("deadletter dismiss 3 --reason x --code 22P05", "--all"),
    ("drill show --yaml", "NAME"),
    ("stack fault --list --for 5s", "NAME"),
]
OF_SERVE = [("--rate", "5"), ("--map", "event_type=.kind"), ("--ignore", "ping"), ("--until-done",)]


def test_it_names_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    migctl = Commands(tmp_path, {}, monkeypatch, capsys)
    for words, other in LACKING:
        ended = migctl(*words.split())
        assert (ended.returncode, other in ended.stderr, ended.stdout) == (Exit.UNUSABLE, True, ""), (
            words,
            ended,
        )
    assert not (tmp_path / "stack.json").exists()


def test_serve_without_a_source(tmp_path: Path) -> None:
    for option in OF_SERVE:
        ended = run(tmp_path, "serve", "--mode", "websocket", "--listen", "127.0.0.1:0", *option)
        assert (ended.returncode, "--source" in ended.stderr) == (Exit.UNUSABLE, True), (option, ended.stderr)
