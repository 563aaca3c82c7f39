"""One rollout beside a real `serve`, its witness and a stand-in: from 2a until `/ws` answers 410, whatever goes wrong meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from migctl import Subscriber
from migctl.config import Target
from migctl.faults.tcp_proxy import tcp_proxy
from migctl.rollout.stages import WALKED
from migctl.stack.standin_process import StandinProcess
from migctl.stack.valkey import Valkey
from tests.kit.conditions import until
from tests.kit.receiving import receiving
from tests.kit.serve_process import ServeProcess, run, serving_process
from tests.kit.sources import Source
from tests.kit.targets import environment_of
from tests.kit.walking import Ledger, WalkerProcess, last_stage, write_settings, write_stages

# Of each step, on a machine that is many times slower.
WITHIN_S = 180.0
WHY = ("--reason", "a test")


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_walk_reaches_the_end_over_kills_silence_a_bad_gate_and_stores_that_go_away(
    process: StandinProcess, target: Target, valkey: Valkey, migrated: str, tmp_path: Path
) -> None:
    folder, ledger = tmp_path / "serve", Ledger(migrated)
    write_settings(folder)
    in_time = {"max_latency_p99_ms": 700, "min_events": 5, "failure_limit": 1}
    write_stages(folder, s2b_50={"soak_minutes": 3, "gates": [{"max_lost": 0, "min_events": 5}, in_time]})
    (folder / "configs" / "stages" / "2c-deprecate.yaml").write_text(
        last_stage(rampdown_minutes=0.1, drain_minutes=0.02)
    )
    more = {**environment_of(target), "REDIS_URL": valkey.url, "MIGCTL_WITNESS": "on"}
    walker = WalkerProcess(folder, more)

    def at(stage: str, phase: str) -> bool:
        assert walker.exit_code is None, walker.log()
        state = ledger.state()
        return (state.get("stage"), state.get("phase")) == (stage, phase)

    async def rollout(*words: str) -> tuple[int, dict[str, Any]]:
        done = await asyncio.to_thread(run, folder, "rollout", *words, "--output", "json", more=more)
        return done.returncode, json.loads(done.stdout) if done.stdout else {"refused": done.stderr}

    async def completed() -> bool:
        code, found = await rollout(*complete)
        assert code in (0, 1), found
        return code == 0

    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(tcp_proxy(process.port))
        behind = {**more, **environment_of(replace(target, supabase_url=proxy.url))}
        serve = stack.enter_context(serving_process(folder, "--mode", "dual", more=behind))
        source = await stack.enter_async_context(Source(serve).running())
        answers = await stack.enter_async_context(evaluating(serve))
        users = []
        for n in range(4):
            subscriber = await stack.enter_async_context(Subscriber(serve.url, user=f"user-{n}", wait_s=60))
            users.append(await stack.enter_async_context(receiving(subscriber)))
        walker.begin()
        stack.callback(walker.end)
        await until(lambda: at("2b-25", "soaking"), within_s=WITHIN_S)
        walker.kill()
        source.silent = True
        walker.begin()
        await until(lambda: at("2b-25", "paused"), within_s=WITHIN_S)
        assert ledger.state()["paused"] == "no_data"
        source.silent = False

        await until(lambda: at("2b-50", "soaking"), within_s=WITHIN_S)
        # Nothing is lost, and it comes too late: 0.4 s to Supabase, and as long from there.
        proxy.delay_s = 0.4
        await until(lambda: walker.exit_code is not None, within_s=WITHIN_S)
        assert (walker.exit_code, ledger.state()["phase"]) == (1, "aborted"), walker.log()
        assert "max_latency_p99_ms" in ledger.state()["reason"]
        proxy.delay_s = 0.0
        assert {await transport(serve, f"user-{n}") for n in range(30)} == {"websocket"}
        (brake,) = ledger.brakes()
        code, resumed = await rollout("resume", "--lift", brake, "--yes", *WHY)
        assert (code, resumed["state"]["stage"]) == (0, "2b-25"), resumed

        walker.begin()
        await until(lambda: at("2b-75", "soaking"), within_s=WITHIN_S)
        valkey.stop()
        process.send(signal.SIGKILL)
        process.wait(5)
        await until(lambda: waits_for_the_record(walker), within_s=WITHIN_S)
        process.start()
        await until(lambda: walker.exit_code is not None or at("2b-100", "soaking"), within_s=WITHIN_S)
        await until(lambda: walker.exit_code is not None, within_s=WITHIN_S)
        assert walker.exit_code == 0, walker.log()
        assert ledger.state()["passed"] == list(WALKED)

        where = (await rollout("status"))[1]["target"]
        complete = ("complete", "--confirm", where)
        code, first = await rollout(*complete)
        assert (code, first["phase"]) == (1, "rampdown"), first
        process.send(signal.SIGKILL)
        process.wait(5)
        code, away = await rollout(*complete)
        assert code == 3, away
        process.start()
        valkey.begin()
        valkey.wait_ready()
        await until(completed, within_s=WITHIN_S)
        assert await status_of(serve, "/ws") == 410
        for store in (valkey.stop, process.stop):
            store()
            assert {await transport(serve, f"user-{n}") for n in range(30)} == {"realtime"}
            assert await status_of(serve, "/ws") == 410
        process.start()
        source.silent = True
        journal = await seqs_of(serve)
        for user in users:
            await until(lambda user=user: user.seqs[-1] >= journal[-1], within_s=WITHIN_S)  # type: ignore[misc]
        assert len(answers) > 100
        assert set(answers) <= {"websocket", "realtime"}
        for user in users:
            expected = [seq for seq in await seqs_of(serve) if user.seqs[0] <= seq <= user.seqs[-1]]
            assert user.seqs == expected, "0 lost, 0 twice, in order"

    versions = ledger.versions()
    assert versions == list(range(1, len(versions) + 1))
    judged = [stage for stage, phase in ledger.phases() if phase == "judged"]
    assert judged == ["2a-internal", "2b-25", "2b-25", "2b-50", "2b-75", "2b-100"]
    # What was opened before the gate failed is opened once more, by a person.
    assert ledger.opened() == [0, 25, 50, 25, 50, 75, 100]
    assert ledger.brakes() == [brake]
    signed_off(folder, more, ledger)


def signed_off(folder: Path, more: Mapping[str, str], ledger: Ledger) -> None:
    """The report says of this walk what the database has of it."""
    done = run(folder, "rollout", "signoff", "--output", "json", more=more)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert all(one["recorded"] for one in report["stages"])
    passed = [one for one in report["stages"] if (one["judgement"] or {}).get("verdict") == "pass"]
    assert list(dict.fromkeys(one["stage"] for one in passed)) == list(WALKED)
    for one in passed:
        for gate in one["judgement"]["gates"]:
            digests = ledger.evidence(*gate["window"])
            assert gate["evidence"] == len(digests), one["stage"]
            assert gate["sha256"] == hashlib.sha256("\n".join(digests).encode()).hexdigest()
    of_2b_25 = [one for one in report["incidents"] if one["stage"] == "2b-25" and one["kind"] == "no_data"]
    assert of_2b_25[0]["ended_by"].startswith("soaking by ")
    (rolled_back,) = [one for one in report["incidents"] if one["kind"] == "gate"]
    assert rolled_back["stage"] == "2b-50"
    assert report["totals"]["lost"] == 0
    assert report["series"]["shares"][-1]["percent"] == 100
    assert (report["completed"], report["phase"]) == (True, "done")
    assert "signoff.html" in done.stderr


def waits_for_the_record(walker: WalkerProcess) -> bool:
    last = walker.log().splitlines()[-1]
    return '"what":"waits: ' in last and "minutes of evidence" not in last


async def get(serve: ServeProcess, path: str, **params: str | int) -> httpx.Response:
    async with httpx.AsyncClient(base_url=serve.url, trust_env=False) as http:
        return await http.get(path, params=params)


async def status_of(serve: ServeProcess, path: str) -> int:
    return (await get(serve, path)).status_code


async def transport(serve: ServeProcess, user: str) -> str:
    found: str = (await get(serve, "/api/transport", user=user)).json()["transport"]
    return found


async def seqs_of(serve: ServeProcess) -> list[int]:
    """All that the journal has, in order."""
    epoch = (await get(serve, "/api/status")).json()["journal"]["epoch"]
    found: list[int] = []
    while True:
        page = (await get(serve, "/events", epoch=epoch, after=found[-1] if found else 0, limit=1000)).json()
        if not page["events"]:
            return found
        found += [event["seq"] for event in page["events"]]


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
