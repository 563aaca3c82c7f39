"""What `migctl ctl set` changes counts in the serve that runs, in its sockets and in its witness; what it can't change says why."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from websockets.asyncio.client import connect

from migctl.config import Target
from migctl.config.changing import CHANGEABLE, FIXED
from migctl.stack.standin_process import StandinProcess
from tests.kit.conditions import until
from tests.kit.deadletters import Commands, environ_of
from tests.kit.serve_process import ServeProcess, serving_process
from tests.kit.walking import write_settings


async def ran(run: Commands, *words: str) -> Any:
    return await asyncio.to_thread(run, *words)


async def status(serve: ServeProcess) -> Any:
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(f"{serve.url}/api/status")).json()


def test_every_setting_is_listed_with_its_value_or_with_why_it_can_not_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Commands(tmp_path, {"NO_COLOR": "1"}, monkeypatch, capsys)
    with serving_process(tmp_path, "--mode", "websocket"):
        found = json.loads(run("ctl", "get", "-o", "json").stdout)
        assert {one["name"] for one in found["settings"]} == {one.name for one in CHANGEABLE}
        assert {one["name"]: one["reason"] for one in found["fixed"]} == dict(FIXED)
        text = run("ctl", "get").stdout
        assert max(map(len, text.splitlines())) <= 80
        assert all(name in text for name in FIXED)
        only = run("ctl", "get", "gateway").stdout
        assert "gateway.stall_s" in only and "sent it in" in only and "relay." not in only
        for name in ("gateway.heartbeat_s", "evidence.window_s", "alerts.webhook"):
            reason = FIXED[name]
            for words in (("set", name, "1"), ("unset", name)):
                refused = run("ctl", *words)
                assert (refused.returncode, refused.stdout) == (2, ""), name
                assert reason.split(",")[0][:40] in " ".join(refused.stderr.split()), name
        # None of them can be emptied either, and nothing of it is in the audit.
        for name in ("gateway.stall_s", "evidence.max_lost", "log_level"):
            assert run("ctl", "set", name, "").returncode == 2, name
        assert json.loads(run("ctl", "history", "-o", "json").stdout)["entries"] == []


@pytest.mark.slow
def test_each_of_them_can_be_set_to_what_it_is_and_is_audited(
    standin: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = environ_of(standin)
    run = Commands(tmp_path, environ, monkeypatch, capsys)
    with serving_process(tmp_path, "--mode", "dual", more=environ) as serve:
        for one in CHANGEABLE:
            done = run("ctl", "set", one.name, json.dumps(one.default), "--reason", "as it was")
            assert done.returncode == 0, (one.name, done.stderr)
        entries = json.loads(run("ctl", "history", "--limit", "1000", "-o", "json").stdout)["entries"]
        assert {(e["name"], e["act"], e["reason"]) for e in entries} == {
            (one.name, "set", "as it was") for one in CHANGEABLE
        }
        assert all(e["before"] == e["after"] for e in entries)
        assert httpx.get(f"{serve.url}/readyz", trust_env=False).status_code == 200


@pytest.mark.slow
async def test_a_smaller_queue_closes_a_socket_that_was_open_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Commands(tmp_path, {}, monkeypatch, capsys)
    with serving_process(tmp_path, "--mode", "websocket") as serve:
        async with (
            connect(f"{serve.ws_url}?v=2", max_queue=1) as slow,
            httpx.AsyncClient(trust_env=False) as http,
        ):
            await slow.recv()
            assert (await ran(run, "ctl", "set", "gateway.max_queue_bytes", "65536")).returncode == 0
            large = [{"event_type": "x", "data": {"x": "y" * 100_000}} for _ in range(20)]

            async def closed() -> bool:
                await http.post(f"{serve.url}/events", json=large)
                return bool((await status(serve))["transports"]["websocket"]["closed_by_code"].get("4408"))

            await until(closed)


@pytest.mark.slow
async def test_the_canary_goes_by_what_was_set(
    process: StandinProcess,
    target: Target,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environ = environ_of(target)
    run = Commands(tmp_path, environ, monkeypatch, capsys)
    with serving_process(tmp_path, "--mode", "dual", more=environ) as serve:

        async def breaker() -> Any:
            return (await status(serve))["breakers"]["broadcast"]

        async def well() -> bool:
            found = await status(serve)
            return (
                found["breakers"]["broadcast"]["state"] == "closed"
                and found["transports"]["realtime"]["canary"]["seen"] > 0
            )

        await until(well)
        refused = await ran(run, "ctl", "set", "resilience.canary.every_s", "2")
        assert refused.returncode == 2 and "silent_s" in refused.stderr  # a file could not say it either
        assert (await ran(run, "ctl", "set", "resilience.canary.silent_s", "2.75")).returncode == 0
        process.stop()

        async def silent() -> bool:
            found = await breaker()
            # What it says first may be that nothing answers.
            return found["state"] != "closed" and "no canary seen for 2.75 s" in (found["reason"] or "")

        await until(silent)


@pytest.mark.slow
async def test_the_witness_goes_by_what_was_set_from_its_next_window_on(
    standin: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {**environ_of(standin), "MIGCTL_WITNESS": "on"}
    write_settings(tmp_path)
    with (tmp_path / "migctl.yaml").open("a") as file:
        # Whoever brings nothing is no fault: without events there is no figure, and no window is judged.
        file.write("relay: {}\n")
    run = Commands(tmp_path, environ, monkeypatch, capsys)
    with serving_process(tmp_path, "--mode", "dual", more=environ) as serve:

        async def bounds() -> Any:
            return json.loads((tmp_path / "evidence-bounds.json").read_text())

        assert (await bounds())["max_lost"] == 0
        done = await ran(run, "ctl", "set", "evidence.max_lost", "7", "--reason", "a known hole")
        assert done.returncode == 0 and "from the next window on" in done.stdout
        assert (await bounds())["max_lost"] == 7
        async with serve.posting():
            await until(lambda: _window(serve))
        assert (await ran(run, "ctl", "unset", "evidence.max_lost")).returncode == 0
        assert (await bounds())["max_lost"] == 0


async def _window(serve: ServeProcess) -> bool:
    witness = (await status(serve))["witness"]
    return witness is not None and witness["window"] is not None and witness["window"]["fault"] is None


BEND = """
create function public.bend() returns trigger language plpgsql as
  $$ begin new.data := new.data || '{"bent": true}'; return new; end $$;
create trigger bend before insert on public.monitoring_events for each row execute function public.bend();
"""


@pytest.mark.slow
async def test_a_bound_that_is_set_lifts_an_alert_that_is_out_and_taking_it_back_raises_one(
    standin: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Realtime brings what stands in the table, and a trigger of somebody's changes it there: no event is equal on both.
    with psycopg.connect(standin.need("database_url"), autocommit=True) as database:
        database.execute(BEND)
    environ = {**environ_of(standin), "MIGCTL_WITNESS": "on"}
    write_settings(tmp_path)
    with (tmp_path / "migctl.yaml").open("a") as file:
        file.write("realtime: { live: postgres_changes }\n")
    run = Commands(tmp_path, environ, monkeypatch, capsys)
    with serving_process(tmp_path, "--mode", "dual", more=environ) as serve:

        async def alert() -> str | None:
            witness = (await status(serve))["witness"]
            found = witness and witness["alert"]
            return None if not found else str(found["reason"])

        async def is_unequal() -> bool:
            return "% match, and 99.9 % must" in (await alert() or "")

        async def is_none() -> bool:
            return await alert() is None

        async with serve.posting():
            await until(is_unequal)
            done = await ran(run, "ctl", "set", "evidence.min_match_percent", "0", "--reason", "they know")
            assert done.returncode == 0, done.stderr
            await until(is_none)
            witness = (await status(serve))["witness"]
            assert witness["window"]["match_percent"] < 99.9  # as before: it is the bound that went
            assert (await ran(run, "ctl", "unset", "evidence.min_match_percent")).returncode == 0
            await until(is_unequal)
