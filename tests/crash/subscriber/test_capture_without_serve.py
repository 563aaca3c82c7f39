"""A Realtime capture whose `serve` is killed: heads stay as they are, and say nothing of what was committed last."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from migctl.config import Target
from tests.kit.capturing import capturing
from tests.kit.serve_process import environment, serving_process
from tests.kit.targets import environment_of


@pytest.mark.parametrize("killed", [False, True], ids=["serve at rest", "serve killed"])
@pytest.mark.slow
async def test_capture_is_complete_only_where_serve_lived_to_say_how_far_it_is(
    standin: Target, tmp_path: Path, killed: bool
) -> None:
    state, env = tmp_path / "serve", environment_of(standin)
    drain = "4" if killed else "10"
    with serving_process(state, "--mode", "realtime", more=env) as serve:
        async with capturing(
            tmp_path / "out", "--drain", drain, transport="realtime", env=environment(state, env)
        ) as capture:
            await capture.said("ready")
            await serve.post(10)
            capture.wait_for_lines(10)
            if killed:
                serve.send(signal.SIGKILL)
            capture.process.send_signal(signal.SIGTERM)
            assert f"at most {drain} s" in await capture.said("stopping")
            code, _, err = await capture.ended()
    assert code == (1 if killed else 0), err
    assert (capture.summary["complete"], len(capture.lines)) == (not killed, 10)
    assert ("heard nothing of serve" in capture.summary["reason"]) is killed
    assert ("not complete: " in err and "waiting for serve" in err) is killed
    report = subprocess.run(
        [
            *(sys.executable, "-m", "migctl", "validate", "report", str(tmp_path / "out")),
            *("--journal", str(state / "journal.db"), "--output", "json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(report.stdout)["verdict"] == ("terminated" if killed else "pass"), report.stdout
    assert report.returncode == (1 if killed else 0)
