"""`migctl rollout` beside real serves: who confirms, what holds with everything away, and who is told of another."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from migctl.config import Target
from migctl.flags.record import Record
from migctl.server.access.tokens import mint_token
from migctl.stack.standin_process import StandinProcess
from migctl.stack.valkey import Valkey
from tests.kit.conditions import until
from tests.kit.serve_process import ServeProcess, run, serving_process
from tests.kit.targets import environment_of

ADMIN, MINTED = mint_token("admin", "ada")
WHY = ("--yes", "--reason", "a test")


class Stage:
    """Three serves over one target, of which two are gateways alone; and a folder in which commands are given."""

    def __init__(self, folder: Path, target: Target, redis_url: str | None = None) -> None:
        self.desk = folder / "desk"
        self.desk.mkdir()
        self.environ = {**environment_of(target), "MIGCTL_TOKENS": MINTED.entry}
        self.serves: list[ServeProcess] = []
        self._folder = folder
        if redis_url is not None:
            self.environ["REDIS_URL"] = redis_url

    def start(self, stack: ExitStack, number: int, **more: str) -> ServeProcess:
        mode = "dual" if number == 0 else "websocket"
        made = serving_process(self._folder / f"s{number}", "--mode", mode, more={**self.environ, **more})
        serve = stack.enter_context(made)
        # It serves a moment before it is in the list of those who a change waits for.
        deadline = time.monotonic() + 5
        while not self.knows(serve) and time.monotonic() < deadline:
            time.sleep(0.05)
        return serve

    def knows(self, serve: ServeProcess) -> bool:
        """Whether it is listed, as far as can be known."""
        done = run(self.desk, "flags", "processes", "--output", "json", more=self.environ)
        if not done.stdout:
            return True
        return any(
            one["name"].endswith(f":{serve.process.pid}") for one in json.loads(done.stdout)["processes"]
        )

    def call(self, *words: str, code: int = 0) -> Any:
        """A command of `migctl rollout`, with its document."""
        done = run(
            self.desk, "rollout", *words, "--output", "json", more={**self.environ, "MIGCTL_TOKEN": ADMIN}
        )
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if done.stdout else done.stderr


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def held(serve: ServeProcess) -> Any:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    answer = httpx.get(f"{serve.url}/admin/flags", headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()


def percent(serve: ServeProcess) -> float | None:
    said = held(serve)
    return said["effective"]["percent"] if said["effective"] is not None else None


@pytest.mark.slow
async def test_a_share_goes_up_and_down_in_every_process_and_who_does_not_confirm_is_named(
    target: Target, record: Record, tmp_path: Path, stack: ExitStack
) -> None:
    stage = Stage(tmp_path, target)
    serves = [stage.start(stack, number) for number in range(3)]
    # The record is empty: the flag is made by the first raise.
    assert "no terminal" in stage.call("set", "25", "--reason", "a test", code=4)["refused"]
    assert stage.call("set", "25", "--yes", code=2)["changed"] is False
    assert stage.call("set", "25", *WHY, "--dry-run")["changed"] is False
    done = stage.call("set", "25", *WHY)
    assert (done["processes"]["known"], len(done["processes"]["confirmed"])) == (3, 3)
    assert done["processes"]["took_s"] < 1
    assert done["state"]["stage"] == "2b-25"
    assert [percent(serve) for serve in serves] == [25, 25, 25]
    assert stage.call("set", "25")["changed"] is False
    # One is stopped: it is named, and what was said is done all the same.
    serves[1].send(signal.SIGSTOP)
    done = stage.call("set", "50", *WHY, code=1)
    assert [str(serves[1].process.pid) in one["name"] for one in done["processes"]["unconfirmed"]] == [True]
    serves[1].send(signal.SIGCONT)
    await until(lambda: percent(serves[1]) == 50)
    # Down asks nobody, and leaves nothing to look at: a raise by a script goes through.
    done = stage.call("set", "10", "--reason", "too loud")
    assert (done["brake"]["max_percent"], len(done["processes"]["confirmed"])) == (10, 3)
    status = stage.call("status")
    assert (status["stage"], status["percent"], status["brakes"]) == ("2a-internal", 10, [])
    assert [one["agrees"] for one in status["processes"]] == [True, True, True]
    assert stage.call("set", "25", *WHY)["lifted"] == [done["brake"]["id"]]
    # An abort stays until somebody has looked at it.
    brake = stage.call("abort", "--reason", "bad")["brake"]
    assert [percent(serve) for serve in serves] == [0, 0, 0]
    assert brake["id"] in stage.call("set", "50", *WHY, code=1)["refused"]
    assert [one["id"] for one in stage.call("status")["brakes"]] == [brake["id"]]
    assert stage.call("status", "--exit-status", code=1)["state"]["phase"] == "aborted"
    done = stage.call("resume", "--yes", "--lift", brake["id"], "--reason", "mended")
    assert (done["lifted"], done["state"]["stage"]) == ([brake["id"]], "2a-internal")
    assert held(serves[0])["effective"]["segments"] == {"internal": 100}
    # No gate has evidence: nothing is promoted without force, which is audited.
    assert "min_match_percent" in stage.call("promote", "--yes", code=1)["refused"]
    assert stage.call("promote", "--force", "--yes", code=2)
    assert stage.call("promote", "--force", *WHY)["state"]["stage"] == "2b-25"
    assert stage.call("pause", "--reason", "lunch")["state"]["paused"] == "person"
    assert stage.call("resume")["state"]["phase"] == "moving"
    assert stage.call("revert")["state"]["stage"] == "2a-internal"
    actions = [one["action"] for one in stage.call("history", "--limit", "4")["entries"]]
    assert actions == ["rollout.revert", "flags.brake", "rollout.resume", "rollout.pause"]
    assert "rollout.promote-forced" in [one["action"] for one in stage.call("history")["entries"]]
    assert [one["current"] for one in stage.call("plan")["steps"]][:2] == [True, False]
    report = stage.call("signoff")
    (forced,) = [one for one in report["stages"] if one["forced"] is not None]
    assert (forced["stage"], forced["forced"], forced["recorded"]) == ("2a-internal", "a test", True)
    assert {gate["verdict"] for gate in forced["judgement"]["gates"]} == {"inconclusive"}
    (aborted,) = [one for one in report["incidents"] if one["kind"] == "abort"]
    assert (aborted["why"], aborted["effect"]) == ("bad", "on Realtime: 25 % of all before, 0 % after")
    assert aborted["ended_by"].endswith(": mended")
    (lowered, _) = [one for one in report["incidents"] if one["kind"] == "brake"]
    assert (lowered["why"], lowered["effect"]) == ("too loud", "on Realtime: 50 % of all before, 10 % after")
    assert [one["kind"] for one in report["timeline"]].count("down") == 0


@pytest.mark.slow
async def test_going_down_needs_no_store_and_no_store_that_returns_moves_anybody_up(
    target: Target, process: StandinProcess, valkey: Valkey, tmp_path: Path, stack: ExitStack
) -> None:
    stage = Stage(tmp_path, target, valkey.url)
    serves = [stage.start(stack, number) for number in range(3)]
    stage.call("set", "50", *WHY)
    process.stop()
    valkey.stop()
    assert stage.call("set", "75", *WHY, code=3)
    done = stage.call("set", "25")
    assert (len(done["processes"]["confirmed"]), done["record"]["has"]) == (3, False)
    assert [percent(serve) for serve in serves] == [25, 25, 25]
    done = stage.call("abort")
    assert len(done["processes"]["confirmed"]) == 3
    status = stage.call("status")
    assert (status["tier"], status["percent"]) == ("process", 0)
    serves[0].send(signal.SIGKILL)
    serves[0] = stage.start(stack, 0)
    assert percent(serves[0]) == 0
    valkey.begin()
    valkey.wait_ready()
    process.start()
    await until(lambda: all(not held(serve)["blind"] for serve in serves))
    await until(lambda: all(held(serve)["tiers"]["redis"]["state"] == "running" for serve in serves))
    assert [percent(serve) for serve in serves] == [0, 0, 0]
    # The record was told meanwhile, so that a raise has to name both.
    await until(lambda: len(stage.call("status")["brakes"]) == 2)
    assert done["brake"]["id"] in stage.call("set", "25", *WHY, code=1)["refused"]
    names = [word for one in stage.call("status")["brakes"] for word in ("--lift", one["id"])]
    stage.call("set", "25", *WHY, *names)
    assert [percent(serve) for serve in serves] == [25, 25, 25]


@pytest.mark.slow
async def test_a_kill_switch_is_named(target: Target, tmp_path: Path, stack: ExitStack) -> None:
    stage = Stage(tmp_path, target)
    stage.start(stack, 0, MIGCTL_FLAG_TRANSPORT="realtime")
    done = stage.call("set", "75", *WHY, code=1)
    (one,) = done["processes"]["unconfirmed"]
    assert "kill switch" in one["why"]


@pytest.mark.slow
def test_an_abort_that_reaches_nobody_says_so_and_is_shown_until_it_has(
    target: Target, tmp_path: Path
) -> None:
    stage = Stage(tmp_path, target)
    here = {**stage.environ, "SUPABASE_URL": "http://127.0.0.1:9"}
    done = run(stage.desk, "rollout", "abort", "--output", "json", more=here)
    assert done.returncode == 1, done.stderr
    brake = json.loads(done.stdout)["brake"]["id"]
    shown = json.loads(run(stage.desk, "rollout", "status", "--output", "json", more=here).stdout)
    assert [one["id"] for one in shown["own"]] == [brake]
    # It goes with the next one down, and is nobody's own then.
    stage.call("abort")
    assert stage.call("status")["own"] == []
    assert brake in [one["id"] for one in stage.call("status")["brakes"]]


@pytest.mark.slow
async def test_a_state_that_this_version_can_not_read_stands_in_nobodys_way_down(
    target: Target, record: Record, tmp_path: Path
) -> None:
    stage = Stage(tmp_path, target)
    stage.call("set", "50", *WHY)
    await record.write_rollout(
        "transport", b'{"phase":"later"}', expected=1, fence=None, action="set", actor="ada", reason="newer"
    )
    done = stage.call("set", "25")
    assert done["brake"]["max_percent"] == 25
    assert "can't be read" in done["state_unmoved"]
    assert "can't be read" in stage.call("status")["away"]
    stage.call("set", "50", *WHY, code=3)
    assert stage.call("abort")["brake"]["split"] == "everything"
