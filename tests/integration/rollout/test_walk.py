"""The walk beside a real `serve`, its witness and a stand-in: to the end, with what goes wrong on the way."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from migctl.rollout.stages import WALKED
from migctl.stack.keys import Keys
from migctl.stack.launcher import any_free_port
from migctl.stack.standin_process import StandinProcess
from migctl.stack.valkey import Valkey
from tests.kit.conditions import until
from tests.kit.serve_process import ServeProcess, run, serving_process
from tests.kit.sources import Source
from tests.kit.targets import environment_of, target_of
from tests.kit.walking import Ledger, WalkerProcess, write_settings, write_stages

WITHIN_S = 90.0


@pytest.fixture
def supabase(migrated: str, keys: Keys, tmp_path: Path) -> Iterator[StandinProcess]:
    process = StandinProcess(
        tmp_path / "standin", any_free_port(), database_url=migrated, jwt_secret=keys.jwt_secret
    )
    process.start()
    yield process
    process.stop()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path / "valkey", any_free_port())
    server.begin()
    server.wait_ready()
    yield server
    server.stop()


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_walk_reaches_the_end_over_kills_silence_and_stores_that_go_away(
    supabase: StandinProcess, valkey: Valkey, migrated: str, keys: Keys, tmp_path: Path
) -> None:
    folder, ledger = tmp_path / "serve", Ledger(migrated)
    write_settings(folder)
    write_stages(folder)
    more = {
        **environment_of(target_of(supabase, migrated, keys)),
        "REDIS_URL": valkey.url,
        "MIGCTL_WITNESS": "on",
    }
    walker = WalkerProcess(folder, more)

    def at(stage: str, phase: str) -> bool:
        assert walker.exit_code is None, walker.log()
        state = ledger.state()
        return (state.get("stage"), state.get("phase")) == (stage, phase)

    with serving_process(folder, "--mode", "dual", more=more) as serve:
        async with (
            Source(serve).running() as source,
            evaluating(serve) as answers,
        ):
            await until(lambda: ledger.windows() > 0, within_s=WITHIN_S)
            walker.begin()
            try:
                await until(lambda: at("2b-25", "soaking"), within_s=WITHIN_S)
                walker.kill()
                walker.begin()

                await until(lambda: at("2b-50", "soaking"), within_s=WITHIN_S)
                source.silent = True
                await until(lambda: at("2b-50", "paused"), within_s=WITHIN_S)
                assert ledger.state()["paused"] == "no_data"
                source.silent = False
                await until(lambda: at("2b-75", "soaking"), within_s=WITHIN_S)

                valkey.stop()
                supabase.send(signal.SIGKILL)
                supabase.wait(5)
                await until(lambda: "waits" in walker.log().splitlines()[-1], within_s=5)
                supabase.start()
                await until(
                    lambda: walker.exit_code is not None or at("2b-100", "soaking"), within_s=WITHIN_S
                )
                await until(lambda: walker.exit_code is not None, within_s=WITHIN_S)
                assert walker.exit_code == 0, walker.log()
            finally:
                walker.end()
    assert ledger.state()["passed"] == list(WALKED)
    versions = ledger.versions()
    assert versions == list(range(1, len(versions) + 1))
    begun = [stage for stage, phase in ledger.phases() if phase == "judged"]
    assert begun == list(WALKED)
    assert ledger.opened() == sorted(set(ledger.opened()))
    assert not ledger.brakes()
    assert answers
    assert set(answers) <= {"websocket", "realtime"}
    signed_off(folder, more, ledger)


def signed_off(folder: Path, more: Mapping[str, str], ledger: Ledger) -> None:
    """The report says of this walk what the database has of it."""
    done = run(folder, "rollout", "signoff", "--output", "json", more=more)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [one["stage"] for one in report["stages"]] == list(WALKED)
    for one in report["stages"]:
        assert (one["recorded"], one["judgement"]["verdict"]) == (True, "pass"), one
        for gate in one["judgement"]["gates"]:
            digests = ledger.evidence(*gate["window"])
            assert gate["evidence"] == len(digests), one["stage"]
            assert gate["sha256"] == hashlib.sha256("\n".join(digests).encode()).hexdigest()
    (silence,) = [one for one in report["incidents"] if one["kind"] == "no_data" and one["stage"] == "2b-50"]
    assert silence["ended_by"].startswith("soaking by ")
    assert report["totals"]["lost"] == 0
    assert [one["percent"] for one in report["series"]["shares"]] == [0, 25, 50, 75, 100]
    assert (report["completed"], report["phase"]) == (False, "done")
    assert "signoff.html" in done.stderr


@contextlib.asynccontextmanager
async def evaluating(serve: ServeProcess) -> AsyncIterator[list[str]]:
    """Asks for users' transports all the time: what was answered. An evaluation that fails is an error of the block."""
    answers: list[str] = []

    async def ask() -> None:
        async with httpx.AsyncClient(base_url=serve.url, trust_env=False) as http:
            while True:
                answer = await http.get("/api/transport", params={"user": f"user-{len(answers) % 50}"})
                assert answer.status_code == 200, answer.text
                answers.append(answer.json()["transport"])
                await asyncio.sleep(0.05)

    task = asyncio.create_task(ask())
    try:
        yield answers
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})
