"""kill -9 of `rollout complete` around each of its writes, and of `serve` in each phase: no step is skipped or done twice."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from migctl import Subscriber
from migctl.config import Target
from migctl.stack.launcher import any_free_port
from tests.kit.conditions import until
from tests.kit.receiving import receiving
from tests.kit.serve_process import ServeProcess, environment, run, serving_process
from tests.kit.targets import environment_of
from tests.kit.walking import ROOT, Ledger, last_stage

WHY = ("--reason", "a test")
KILL_SERVE, REVERT = "kill serve", "revert"
# What is done, and how far the completion is then.
LIVES: list[tuple[str, int, str | None]] = [
    ("before-state", 1, None),
    ("after-state", 1, "rampdown"),
    (KILL_SERVE, 0, "rampdown"),
    (REVERT, 0, None),
    ("after-state", 1, "rampdown"),
    ("before-state", 1, "rampdown"),
    ("after-state", 1, "draining"),
    (KILL_SERVE, 0, "draining"),
    (REVERT, 0, None),
    ("after-state", 2, "draining"),
    ("before-state", 1, "draining"),
    ("after-state", 1, "completed"),
    (KILL_SERVE, 0, "completed"),
]
WRITTEN = [
    *("rampdown", None),
    *("rampdown", "draining", None),
    *("rampdown", "draining", "completed"),
]


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_completion_that_is_killed_everywhere_is_the_one_that_it_would_have_been(
    standin: Target, tmp_path: Path
) -> None:
    folder, ledger, port = tmp_path / "s", Ledger(standin.need("database_url")), any_free_port()
    (folder / "configs" / "stages").mkdir(parents=True)
    (folder / "configs" / "stages" / "2c-deprecate.yaml").write_text(last_stage())
    more = environment_of(standin)
    options = ("--mode", "dual", "--listen", f"127.0.0.1:{port}")
    posted = 0

    async def rollout(*words: str) -> dict[str, Any]:
        done = await asyncio.to_thread(run, folder, "rollout", *words, "--output", "json", more=more)
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    async def killed(point: str, passes: int, *words: str) -> None:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "tests.kit.walker_process", "complete", point, str(passes), *words],
            env={**environment(folder, more), "PYTHONPATH": str(ROOT)},
            cwd=folder,
            timeout=180,
            capture_output=True,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, (point, passes, done.stdout, done.stderr)

    async def post(serve: ServeProcess) -> None:
        nonlocal posted
        await serve.post(3)
        posted += 3

    async with AsyncExitStack() as stack:
        serve = stack.enter_context(serving_process(folder, *options, more=more))
        await rollout("set", "100", "--yes", *WHY)
        subscriber = await stack.enter_async_context(Subscriber(serve.url, user="u", wait_s=60))
        received = await stack.enter_async_context(receiving(subscriber))
        await until(lambda: subscriber.attached == {"realtime"})
        complete = ("--force", "--confirm", (await rollout("status"))["target"], *WHY)
        for what, passes, phase in LIVES:
            if what == KILL_SERVE:
                serve.send(signal.SIGKILL)
                serve = stack.enter_context(serving_process(folder, *options, more=more))
                await until(lambda: "realtime" in subscriber.attached)
            elif what == REVERT:
                await rollout("revert", *WHY)
            else:
                await killed(what, passes, *complete)
            assert (ledger.state()["completing"] or {}).get("phase") == phase, (what, passes)
            await post(serve)
            await until_answers(serve, 410 if phase == "completed" else 400)
        assert (await rollout("complete"))["completed"]
        await post(serve)
        await until(lambda: len(received.seqs) >= posted)
        assert received.seqs == list(range(1, posted + 1)), "0 lost, 0 twice, in order"
        assert received.gaps == []
    assert ledger.completions()[1:] == WRITTEN
    assert ledger.versions() == list(range(1, len(WRITTEN) + 2))


async def until_answers(serve: ServeProcess, status: int) -> None:
    await until(lambda: httpx.get(f"{serve.url}/ws", trust_env=False).status_code == status)
