"""A running `serve` goes by the settings of the stage that the rollout is in, without a restart, and also offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from migctl.config import Target
from migctl.stack.standin_process import StandinProcess
from tests.kit.conditions import until
from tests.kit.serve_process import ServeProcess, run, serving_process

STAGE = """\
stage: 2b-25
title: a test
open: {percent: 25}
soak_minutes: 5
gates: [{max_lost: 0}]
settings: {fallback: {hold_s: 3, to_realtime: false}}
"""


def status(serve: ServeProcess) -> Any:
    return httpx.get(f"{serve.url}/api/status", trust_env=False).json()["stage"]


def fallback(serve: ServeProcess) -> Any:
    answer = httpx.get(f"{serve.url}/api/transport", params={"user": "ann"}, trust_env=False)
    return answer.json()["fallback"]


@pytest.mark.slow
async def test_what_the_stage_says_holds_while_the_rollout_is_in_it(
    target: Target, process: StandinProcess, tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    (folder / "configs" / "stages").mkdir(parents=True)
    (folder / "configs" / "stages" / "2b-25.yaml").write_text(STAGE)
    environ = {
        "SUPABASE_URL": target.supabase_url,
        "SUPABASE_SERVICE_ROLE_KEY": target.need("service_role_key"),
        "SUPABASE_ANON_KEY": target.need("anon_key"),
        "SUPABASE_JWT_SECRET": target.need("jwt_secret"),
        "MIGCTL_WITNESS": "off",
    }

    def rollout(*words: str) -> None:
        done = run(folder, "rollout", *words, "--reason", "a test", "--output", "json", more=environ)
        assert done.returncode == 0, done.stdout + done.stderr
        json.loads(done.stdout)

    with serving_process(folder, "--mode", "dual", more=environ) as serve:
        assert (status(serve)["stage"], fallback(serve)["hold_seconds"]) == (None, 10)
        rollout("set", "25", "--yes")
        await until(lambda: status(serve)["stage"] == "2b-25")
        assert status(serve)["changed"] == ["fallback.hold_s", "fallback.to_realtime"]
        assert fallback(serve) | {"max_spread_s": 0} == {
            "hold_seconds": 3,
            "to_realtime": False,
            "max_spread_s": 0,
        }
    # A start without the record goes on with what was known last.
    process.stop()
    with serving_process(folder, "--mode", "dual", more=environ) as serve:
        assert (status(serve)["stage"], status(serve)["heard"]) == ("2b-25", False)
        assert fallback(serve)["hold_seconds"] == 3
        process.start()
        await until(lambda: status(serve)["heard"])
        rollout("abort")
        await until(lambda: status(serve)["stage"] is None)
        assert fallback(serve)["hold_seconds"] == 10
