"""`rollout complete` over several serves of which one is silent, and what a serve does that is started afterwards."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from migctl.config import Target
from migctl.server.access.tokens import mint_token
from tests.integration.rollout.test_commands import ADMIN, MINTED
from tests.integration.rollout.test_complete import REASON
from tests.kit.conditions import until
from tests.kit.serve_process import ServeProcess, environment, run, serving_process
from tests.kit.targets import environment_of
from tests.kit.walking import ROOT, last_stage

READER, READING = mint_token("subscribe", "dashboard")


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_silent_serve_is_named_and_one_that_starts_after_completion_runs_in_mode_realtime(
    target: Target, tmp_path: Path
) -> None:
    folder = tmp_path / "dual"
    (folder / "configs" / "stages").mkdir(parents=True)
    (folder / "configs" / "stages" / "2c-deprecate.yaml").write_text(last_stage())
    environ = {
        **environment_of(target),
        "MIGCTL_TOKENS": f"{MINTED.entry},{READING.entry}",
        "MIGCTL_TOKEN": ADMIN,
    }

    async def rollout(*words: str, code: int = 0) -> tuple[dict[str, Any], str]:
        done = await asyncio.to_thread(run, folder, "rollout", *words, "--output", "json", more=environ)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout), done.stderr

    def serving(name: str, mode: str) -> AbstractContextManager[ServeProcess]:
        return serving_process(tmp_path / name, "--mode", mode, more=environ)

    with ExitStack() as stack:
        serve = stack.enter_context(serving("dual", "dual"))
        other = stack.enter_context(serving("other", "websocket"))
        await rollout("set", "100", "--yes", *REASON)
        where = (await rollout("status"))[0]["target"]
        force = ("--force", "--confirm", where, *REASON)
        other.send(signal.SIGSTOP)
        found, message = await rollout("complete", *force, code=1)
        assert found["phase"] == "draining"
        (silent,) = found["held_by"]["silent"]
        assert silent.endswith(f":{other.process.pid}")
        assert silent in message
        assert "migctl flags processes --forget" in message
        assert "--accept-lost" not in message
        # What can't be counted can't be given up.
        await rollout("complete", *force, "--accept-lost", "1000", code=1)
        other.send(signal.SIGCONT)
        found, message = await rollout("complete", *force, code=1)
        assert (found["held_by"]["silent"], found["held_by"]["alone"]) == ([], [silent])
        assert "mode websocket" in message
        assert answers(serve) == 400
        other.stop()

        # Switched off, and its own process does not hear of it.
        await asyncio.to_thread(killed_as_it_is_completed, folder, environ, *force)
        serve.send(signal.SIGSTOP)
        found, message = await rollout("complete", code=1)
        assert (found["phase"], found["completed"]) == ("completed", False)
        assert len(found["unheard"]) == 1, found
        (unheard,) = found["unheard"]
        assert unheard.endswith(f":{serve.process.pid}")
        assert unheard in message
        serve.send(signal.SIGCONT)
        assert (await rollout("complete"))[0]["completed"]
        assert answers(serve) == 410
        serve.stop()

        for mode in ("websocket", "dual"):
            with serving("dual", mode) as late:
                assert answers(late) == 410
                log = (folder / "serve.log").read_text().replace("\n", " ")
                assert f"runs in mode realtime, and not in {mode}: take out `--mode {mode}`" in log
                assert get(late, "/api/status").json()["mode"] == "realtime"
                if mode == "dual":
                    await rollout("revert", *REASON)
                    await until(lambda: "may be served again" in (folder / "serve.log").read_text())
                late.stop()
        with serving("dual", "dual") as late:
            assert answers(late) == 400


def get(serve: ServeProcess, path: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {READER}"}
    return httpx.get(f"{serve.url}{path}", headers=headers, trust_env=False)


def answers(serve: ServeProcess) -> int:
    return get(serve, "/ws").status_code


def killed_as_it_is_completed(folder: Path, more: dict[str, str], *options: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.kit.walker_process", "complete", "after-state", "1", *options],
        env={**environment(folder, more), "PYTHONPATH": str(ROOT)},
        cwd=folder,
        timeout=180,
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
