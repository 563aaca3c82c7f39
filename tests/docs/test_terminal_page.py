"""The commands of docs/terminal.md run as they stand, beside one serve, in the order of the page."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from migctl.config import Target
from tests.kit.serve_process import run, serving_process
from tests.kit.targets import environment_of

PAGE = (Path(__file__).parents[2] / "docs" / "terminal.md").read_text()
LINES = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
# They go on until somebody ends them: tests/cli/server/test_status_command.py, tests/cli/ctl/test_top.py.
ENDLESS = {"migctl status --watch", "migctl top", "migctl top --url https://HOST"}


@pytest.mark.slow
def test_each_runs_beside_one_serve(target: Target, tmp_path: Path) -> None:
    assert set(LINES) >= ENDLESS
    more = environment_of(target)
    with serving_process(tmp_path, "--mode", "dual", more=more) as serve:
        more["MIGCTL_LISTEN"] = serve.url.removeprefix("http://")
        while run(tmp_path, "status", more=more).returncode != 0:
            pass  # it connects; the test has an end of its own
        for line in LINES:
            if line in ENDLESS:
                continue
            program, *words = shlex.split(line)
            assert program == "migctl"
            done = run(tmp_path, *words, more=more)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            assert done.stdout or done.stderr
