"""The runbook's commands run, in the order of the page, beside a serve whose table had refused two events."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import psycopg
import pytest

from migctl.config import Target
from tests.kit.deadletters import COLD, REFUSE_COLD, Commands, environ_of, post, waiting_for
from tests.kit.serve_process import serving_process

PAGE = (Path(__file__).parents[2] / "runbooks/dead-letters.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def test_every_command_of_the_page_ends_well_once_the_cause_is_mended(
    standin: Target,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environ = environ_of(standin)
    run = Commands(tmp_path, environ, monkeypatch, capsys)
    with (
        psycopg.connect(standin.need("database_url"), autocommit=True) as connection,
        serving_process(tmp_path, "--mode", "dual", more=environ) as serve,
    ):
        connection.execute(REFUSE_COLD)
        post(serve.url, COLD, COLD)
        waiting_for(serve.url, 2)
        connection.execute("alter table monitoring_events drop constraint cold")
        assert len(COMMANDS) > 6
        for line in COMMANDS:
            program, *words = shlex.split(line)
            assert program == "migctl", line
            done = run(*words)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
