"""How loud the log is: `-q` and `-v` stand above the settings, and `--log-level` above both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migctl.exits import Exit
from tests.kit.endings import FILES
from tests.kit.serve_process import run

SERVE = ("serve", "--mode", "websocket", "--listen", "127.0.0.1:0", "--source", "old.ndjson", "--until-done")


@pytest.mark.parametrize(
    ("words", "setting", "levels"),
    [
        (("-q", *SERVE), "info", set()),
        ((*SERVE, "-q", "--log-level", "info"), "info", {"info"}),
        ((*SERVE, "-v"), "error", {"info"}),
    ],
)
def test_the_log_is_as_loud_as_asked_for_and_log_level_wins(
    tmp_path: Path, words: tuple[str, ...], setting: str, levels: set[str]
) -> None:
    (tmp_path / "old.ndjson").write_text(FILES["old.ndjson"])
    ended = run(tmp_path, *words, more={"MIGCTL_LOG_LEVEL": setting})
    assert ended.returncode == Exit.DONE, ended.stderr
    logged = {json.loads(line)["level"] for line in ended.stderr.splitlines() if line.startswith("{")}
    assert logged & {"info"} == levels, ended.stderr
    assert levels or ended.stderr == ""


@pytest.mark.parametrize(
    "words",
    [
        ("-q", "stack", "fault", "--list"),
        ("stack", "-q", "fault", "--list"),
        ("stack", "fault", "-q", "--list"),
    ],
)
def test_they_stand_wherever_an_option_may(tmp_path: Path, words: tuple[str, ...]) -> None:
    ended = run(tmp_path, *words)
    assert (ended.returncode, ended.stderr) == (Exit.DONE, "")
    assert ended.stdout == run(tmp_path, "stack", "fault", "--list").stdout


def test_help_is_help_with_them_too(tmp_path: Path) -> None:
    plain = run(tmp_path, "help", "stack", "fault")
    assert run(tmp_path, "-q", "help", "stack", "fault").stdout == plain.stdout
    assert run(tmp_path, "-v", "help", "exit-codes").stdout == run(tmp_path, "help", "exit-codes").stdout
