"""runbooks/failover.md: what status says while Supabase is away is what the page has, and its commands run once it is back."""

from __future__ import annotations

import json
import re
import shlex
import signal
import time
from pathlib import Path

import pytest

from migctl.config import Target
from migctl.stack.standin_process import StandinProcess
from tests.kit.conditions import PATIENCE_S
from tests.kit.deadletters import Commands, environ_of, post
from tests.kit.serve_process import serving_process

PAGE = (Path(__file__).parents[2] / "runbooks" / "failover.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
# What the page says that status says, of an outage.
SHOWN = (
    "table: retrying, breaker open",
    "broadcast: connecting, breaker open",
    "subscribers were sent to the WebSocket",
)


def until_status(run: Commands, code: int, *words: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        done = run("status")
        if done.returncode == code and all(one in done.stdout for one in words):
            return
        assert time.monotonic() < deadline, done.stdout


def lifts(run: Commands) -> list[str]:
    brakes = json.loads(run("rollout", "status", "--output", "json").stdout)["brakes"]
    return [word for brake in brakes for word in ("--lift", brake["id"])]


def test_status_says_it_while_supabase_is_away_and_every_command_ends_well_after(
    process: StandinProcess,
    target: Target,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environ = environ_of(target)
    run = Commands(tmp_path, environ, monkeypatch, capsys)
    assert [one for one in SHOWN if one not in PAGE] == []
    with serving_process(tmp_path, "--mode", "dual", more=environ) as serve:
        until_status(run, 0)
        process.send(signal.SIGKILL)
        process.wait(60)
        post(serve.url, {"used": 1})
        until_status(run, 1, *SHOWN)
        process.start()
        until_status(run, 0, "subscribers were sent back to Realtime")
        assert len(COMMANDS) > 6
        for line in COMMANDS:
            program, *words = shlex.split(line)
            assert program == "migctl", line
            if "BRAKE" in words:
                words = [word for word in words if word not in ("--lift", "BRAKE")] + lifts(run)
            done = run(*words)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
