"""`rollout complete` with real processes: who holds it back, what the switch does to those who are there, and the way back."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from migctl import Release, Subscriber
from migctl.config import Target
from migctl.stack.standin_process import StandinProcess
from tests.kit.conditions import until
from tests.kit.serve_process import ServeProcess, run, serving_process
from tests.kit.walking import last_stage

REASON = ("--reason", "a test")


def transport(serve: ServeProcess, user: str) -> Any:
    return httpx.get(f"{serve.url}/api/transport", params={"user": user}, trust_env=False).json()


def answers(serve: ServeProcess) -> int:
    return httpx.get(f"{serve.url}/ws", trust_env=False).status_code


async def take(subscriber: Subscriber, count: int) -> list[int]:
    seqs: list[int] = []
    async with asyncio.timeout(60):
        async for item in subscriber:
            assert isinstance(item, Release), item
            seqs.append(item.seq)
            if len(seqs) == count:
                break
    return seqs


def signed_off(done: dict[str, Any]) -> None:
    """The report is there, for its owner alone, and names what was given up, by whom and why."""
    page, document = (Path(path) for path in done["signoff"])
    assert done["signoff_unwritten"] is None
    assert [stat.S_IMODE(path.stat().st_mode) for path in (page, document)] == [0o600, 0o600]
    report = json.loads(document.read_text())
    assert (report["completed"], report["completion"]["accepted_lost"]) == (True, 2)
    assert report["to_delete"]
    assert [one["kind"] for one in report["timeline"]][-3:] == [
        "complete-forced", "complete-draining", "complete-completed",
    ]  # fmt: skip
    assert report["timeline"][-1]["why"] == "2 subscribers given up: a test"
    assert (report["totals"], report["stages"][0]["left_by"]) == (None, "complete-forced")
    assert any("no window of evidence" in text for text in report["missing"])
    html = page.read_text()
    assert "2 subscribers given up: a test" in html
    assert "completed: the WebSocket is switched off" in html


@pytest.mark.timeout(900)
@pytest.mark.slow
async def test_the_websocket_is_switched_off_and_nobody_loses_an_event_and_revert_opens_it_again(
    target: Target, process: StandinProcess, tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    (folder / "configs" / "stages").mkdir(parents=True)
    (folder / "configs" / "stages" / "2c-deprecate.yaml").write_text(last_stage())
    environ = {
        "SUPABASE_URL": target.supabase_url,
        "SUPABASE_SERVICE_ROLE_KEY": target.need("service_role_key"),
        "SUPABASE_ANON_KEY": target.need("anon_key"),
        "SUPABASE_JWT_SECRET": target.need("jwt_secret"),
        "MIGCTL_WITNESS": "off",
    }

    async def rollout(*words: str, code: int = 0) -> dict[str, Any]:
        done = await asyncio.to_thread(run, folder, "rollout", *words, "--output", "json", more=environ)
        assert done.returncode == code, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def signoff() -> tuple[int, str]:
        done = run(folder, "rollout", "signoff", more=environ)
        return done.returncode, done.stderr

    with serving_process(folder, "--mode", "dual", more=environ) as serve:
        code, words = await asyncio.to_thread(signoff)
        assert (code, "nothing to sign off" in words) == (1, True)
        await rollout("set", "1", "--yes", *REASON)
        user = next(f"u{n}" for n in range(100) if transport(serve, f"u{n}")["transport"] == "websocket")
        where = (await rollout("status"))["target"]
        early = await rollout("complete", code=1)
        assert (early["phase"], early["reason"]) == (None, "the last stage was not judged pass")

        async with Subscriber(serve.url, user=user, wait_s=60) as subscriber, connect(serve.ws_url) as legacy:
            await subscriber.ready()
            await serve.post(5)
            assert await take(subscriber, 5) == [1, 2, 3, 4, 5]
            force = ("complete", "--force", "--confirm", where, *REASON)
            held = await rollout(*force, code=1)
            assert held["phase"] == "draining"
            assert sorted(one["protocol"] for one in held["held_by"]["clients"]) == ["legacy", "v2"]
            assert answers(serve) == 400, "until then it is as it was"
            again = await rollout(*force, "--accept-lost", "1", code=1)
            assert again["phase"] == "draining"

            done = await rollout(*force, "--accept-lost", "2")
            assert (done["completed"], done["unheard"]) == (True, [])
            signed_off(done)
            await serve.post(5)
            assert await take(subscriber, 5) == [6, 7, 8, 9, 10], "who was on it goes on without a gap"
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    await legacy.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, "/api/transport" in closed.value.rcvd.reason) == (4412, True)
        with pytest.raises(InvalidStatus) as refused:
            async with connect(serve.ws_url):
                pass
        assert refused.value.response.status_code == 410
        assert b"/api/transport" in (refused.value.response.body or b"")
        found = transport(serve, user)
        assert (found["transport"], found["assigned"]) == ("realtime", "realtime")
        async with Subscriber(serve.url, user="new", wait_s=60) as subscriber:
            await subscriber.ready()
            await serve.post(2)
            assert await take(subscriber, 2) == [11, 12]
        assert (await rollout("complete"))["completed"]
        # A brake sends nobody there.
        aborted = await rollout("abort", *REASON, code=1)
        assert aborted["processes"]["unconfirmed"]
        assert "`migctl rollout revert`" in aborted["state"]["reason"]
        assert transport(serve, user)["transport"] == "realtime"
        serve.stop()

    process.stop()  # what was known last holds without the record
    assert (await asyncio.to_thread(signoff))[0] == 3
    switched = {**environ, "MIGCTL_FLAG_TRANSPORT": "websocket"}
    with serving_process(folder, "--mode", "dual", more=switched) as serve:
        assert answers(serve) == 410
        said = (folder / "serve.log").read_text()
        assert "take out `--mode dual`" in said.replace("\n", " ")
        assert "MIGCTL_FLAG_TRANSPORT=websocket can't be honoured" in said
        process.start()
        await until(lambda: transport(serve, user)["transport"] == "realtime")
        await rollout("revert", *REASON)
        # Once it has heard that, its folder says so too, whether or not the next start reaches the record in time.
        await until(
            lambda: not httpx.get(f"{serve.url}/api/status", trust_env=False).json()["stage"]["completed"]
        )
        serve.stop()

    with serving_process(folder, "--mode", "dual", more=environ) as serve:
        assert answers(serve) == 400
        await rollout("complete", "--force", "--confirm", where, *REASON)
        await until(lambda: answers(serve) == 410)
        await rollout("revert", *REASON)
        again = await rollout("signoff", "--to", "again.json")
        assert json.loads((folder / "again.json").read_text()) == again
        assert [one["kind"] for one in again["incidents"]].count("reopened") == 2
        assert (again["completed"], again["to_delete"]) == (False, [])
        await until(lambda: answers(serve) == 400)
        async with connect(serve.ws_url) as legacy:
            await serve.post(1)
            async with asyncio.timeout(20):
                await legacy.recv()
        serve.stop()
