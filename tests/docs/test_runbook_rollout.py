"""runbooks/rollout.md: its commands run in the order of the page, on a target that is well."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from pathlib import Path

import pytest

from migctl.config import Target
from migctl.flags.record import Record
from migctl.rollout.stages import load_all
from tests.kit.deadletters import Commands
from tests.kit.targets import environment_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "runbooks" / "rollout.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def killed_for_good(target: Target, name: str) -> None:
    """A process that registered, and is not there."""

    async def work() -> None:
        record = Record(target, "public", "local/public")
        await record.register("gone", name, "http://127.0.0.1:9")
        await record.aclose()

    asyncio.run(work())


def lifts(run: Commands) -> list[str]:
    brakes = json.loads(run("rollout", "status", "--output", "json").stdout)["brakes"]
    return [word for brake in brakes for word in ("--lift", brake["id"])]


@pytest.mark.slow
def test_every_command_of_the_page_ends_well(
    standin: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Commands(tmp_path, environment_of(standin), monkeypatch, capsys)
    assert len(COMMANDS) > 20
    for line in COMMANDS:
        program, *words = shlex.split(line)
        assert program == "migctl", line
        if "BRAKE" in words:
            words = [word for word in words if word not in ("--lift", "BRAKE")] + lifts(run)
        if words[1] == "revert":  # it is said of a rollout that is up
            assert run("rollout", "set", "75", "--yes", "--reason", "x", *lifts(run)).returncode == 0
        if words == ["rollout", "resume"]:  # it is said of a walk that waits
            assert run("rollout", "pause", "--reason", "x").returncode == 0
        if "--forget" in words:
            killed_for_good(standin, words[words.index("--forget") + 1])
            assert run("rollout", "set", "100", "--yes", "--reason", "x").returncode == 1
        done = run(*words)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def test_each_stage_has_its_checklist() -> None:
    titles = " ".join(re.findall(r"^## (.*)$", PAGE, re.MULTILINE))
    for name in load_all():
        assert name in titles
