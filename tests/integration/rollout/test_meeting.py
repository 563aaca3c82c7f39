"""What meets what: two raises at one moment, an abort and a record that is away, a process that was killed for good."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from migctl import clock
from migctl.config import Target
from migctl.flags.record import Record
from migctl.flags.snapshot import Brake
from migctl.rollout import walk
from migctl.stack.standin_process import StandinProcess
from tests.integration.rollout.test_commands import ADMIN, WHY, Stage
from tests.kit.conditions import until
from tests.kit.serve_process import environment, run

# Commands that wait for a lock of the database.
WAITING = (
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@contextmanager
def record_slow(database: str, for_s: float) -> Iterator[None]:
    """The record answers nobody for so long."""
    with psycopg.connect(database) as holder:
        holder.execute("lock table monitoring_flags in access exclusive mode")
        release = threading.Timer(for_s, holder.rollback)
        release.start()
        try:
            yield
        finally:
            release.join()


@contextmanager
def writes_held(database: str) -> Iterator[psycopg.Connection[Any]]:
    """Flags can be read and not written meanwhile: whoever writes waits, having seen what stands."""
    with psycopg.connect(database) as holder:
        holder.execute("lock table monitoring_flags in share row exclusive mode")
        yield holder
        holder.rollback()


def begin(stage: Stage, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "migctl", "rollout", *words, *WHY, "--output", "json"],
        env=environment(stage.desk, {**stage.environ, "MIGCTL_TOKEN": ADMIN}),
        cwd=stage.desk, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "pair",
    [(("set", "25"), ("set", "50")), (("promote", "--force"), ("promote", "--force")), (("set", "75"), ("promote", "--force"))],
    ids=["set-set", "promote-promote", "set-promote"],
)  # fmt: skip
@pytest.mark.slow
async def test_of_two_raises_at_once_one_wins_and_the_other_is_told(
    target: Target, record: Record, migrated: str, tmp_path: Path, pair: tuple[tuple[str, ...], ...]
) -> None:
    stage = Stage(tmp_path, target)
    stage.call("set", "10", *WHY)

    def waiting() -> bool:
        with psycopg.connect(migrated) as looking:
            row = looking.execute(WAITING).fetchone()
        return row is not None and row[0] == 2

    with writes_held(migrated):
        both = [begin(stage, *words) for words in pair]
        await until(waiting, within_s=90)
    said = [one.communicate(timeout=120) for one in both]
    assert sorted(one.returncode for one in both) == [0, 1], said
    (won,) = [json.loads(out) for one, (out, _) in zip(both, said, strict=True) if one.returncode == 0]
    ((out, err),) = [each for one, each in zip(both, said, strict=True) if one.returncode == 1]
    assert "the rollout was changed meanwhile" in err
    assert json.loads(out)["changed"] is False
    # Nothing of the other one: neither a share nor a state.
    status = stage.call("status")
    assert (status["written"]["percent"], status["stage"]) == (won["percent"]["after"], won["state"]["stage"])
    assert (await record.rollout("transport")).version == 2
    moves = [one.action async for one in record.history(actions=("rollout.*",))]
    assert len(moves) == 2


@pytest.mark.slow
async def test_an_abort_that_the_record_did_not_hear_is_one_all_the_same(
    target: Target, process: StandinProcess, record: Record, tmp_path: Path
) -> None:
    stage = Stage(tmp_path, target)
    stage.call("set", "50", *WHY)
    at = await record.rollout("transport")
    state = msgspec.convert(at.state, walk.State, strict=False)
    soaking = msgspec.structs.replace(
        state, version=at.version + 1, phase="soaking", paused=None, passed=("2a-internal", "2b-25"), since=clock.now()
    )  # fmt: skip
    await record.write_rollout(
        "transport", msgspec.json.encode(soaking), expected=at.version, fence=None, action="soaking", actor="ada", reason=""
    )  # fmt: skip
    process.stop()
    brake = stage.call("abort", "--reason", "an alarm", code=1)
    assert brake["state"] is None
    assert brake["state_unmoved"] is not None
    process.start()
    # As a process does that confirmed it meanwhile.
    await record.brake(msgspec.convert(brake["brake"], Brake))
    status = stage.call("status")
    assert (status["state"]["phase"], status["state"]["reason"], status["stage"]) == (
        "aborted",
        "an alarm",
        "2b-50",
    )
    assert "aborted" in stage.call("pause", code=1)
    # A walker writes that down, and goes no further.
    walked = run(stage.desk, "rollout", "run", *WHY, more={**stage.environ, "MIGCTL_TOKEN": ADMIN})
    assert walked.returncode == 1, walked.stderr
    assert "migctl rollout resume" in walked.stderr
    written = (await record.rollout("transport")).state
    assert isinstance(written, dict)
    assert (written["phase"], written["reason"]) == ("aborted", "an alarm")
    # It begins the last step that passed, and not the one that it was in.
    assert brake["brake"]["id"] in stage.call("resume", *WHY, code=1)["refused"]
    done = stage.call("resume", *WHY, "--lift", brake["brake"]["id"])
    assert (done["state"]["stage"], done["state"]["phase"]) == ("2b-25", "moving")
    assert done["lifted"] == [brake["brake"]["id"]]
    assert stage.call("status")["percent"] == 25


@pytest.mark.slow
async def test_what_was_set_by_hand_is_soaked_and_the_brake_of_going_there_ends_with_it(
    target: Target, record: Record, tmp_path: Path
) -> None:
    stage = Stage(tmp_path, target)
    stage.call("set", "50", *WHY)
    brake = stage.call("set", "30", "--reason", "less")["brake"]["id"]
    done = stage.call("resume")
    assert (done["state"]["stage"], done["lifted"]) == ("2b-25", [brake])
    state = (await record.rollout("transport")).state
    assert isinstance(state, dict)
    assert (state["phase"], state["share"]) == ("moving", {"percent": 30.0, "segments": {}})
    assert stage.call("status")["written"]["percent"] == 30
    # Back before the first step, it is a raise to begin it.
    stage.call("set", "0")
    stage.call("resume")
    stage.call("set", "100", "--segment", "internal", *WHY)
    assert stage.call("revert")["brake"]["split"] == "internal"
    assert "no terminal" in stage.call("resume", code=4)["refused"]
    assert stage.call("resume", *WHY)["state"]["stage"] == "2a-internal"
    assert stage.call("status")["written"]["segments"] == {"internal": 100}


@pytest.mark.parametrize("words", [("revert",), ("set", "0")], ids=" ".join)
@pytest.mark.slow
def test_going_down_waits_for_a_slow_record_where_nobody_else_says_what_stands(
    target: Target, migrated: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    stage = Stage(tmp_path, target)
    stage.call("set", "50", *WHY)
    with record_slow(migrated, 2.0):
        down = stage.call(*words)
    assert down["percent"]["before"] == 50
    assert stage.call("status")["percent"] == down["percent"]["after"] < 50


@pytest.mark.slow
async def test_a_process_that_was_killed_for_good_is_taken_out_by_a_person(
    target: Target, record: Record, tmp_path: Path, stack: ExitStack
) -> None:
    stage = Stage(tmp_path, target)
    serves = [stage.start(stack, number) for number in range(2)]
    stage.call("set", "25", *WHY)
    serves[1].send(signal.SIGKILL)
    done = run(stage.desk, "rollout", "set", "50", *WHY, more={**stage.environ, "MIGCTL_TOKEN": ADMIN})
    assert done.returncode == 1
    assert "migctl flags processes --forget" in done.stderr

    def processes(*words: str, code: int = 0) -> Any:
        found = run(stage.desk, "flags", "processes", *words, "--output", "json", more=stage.environ)
        assert found.returncode == code, found.stderr
        return json.loads(found.stdout) if found.stdout else found.stderr

    # One that wants a token that we lack is there all the same.
    listed = {one["answers"]: one for one in processes()["processes"]}
    assert set(listed) == {True, False}
    assert listed[True]["why"] is not None
    lives, dead = listed[True], listed[False]
    assert str(serves[0].process.pid) in lives["name"]
    assert dead["url"].startswith("http")
    assert dead["seen_at"] is not None
    gone = ("--forget", dead["name"], "--reason", "its machine is gone")
    assert "--reason" in processes("--forget", dead["name"], code=2)
    assert "--yes" in processes(*gone, code=4)
    assert "answers" in processes("--forget", lives["id"], "--reason", "x", "--yes", code=4)
    assert "is known" in processes("--forget", "nobody", "--reason", "x", "--yes", code=1)
    assert len(processes(*gone, "--dry-run")["processes"]) == 2
    assert [one["id"] for one in processes(*gone, "--yes")["processes"]] == [lives["id"]]
    assert stage.call("set", "75", *WHY)["processes"]["known"] == 1
    (entry,) = [one async for one in record.history(actions=("flags.forget",))]
    assert (entry.reason, entry.before["name"]) == ("its machine is gone", dead["name"])  # type: ignore[index]
    # One that starts again in its folder takes its former self out by itself.
    serves[0].send(signal.SIGKILL)
    serves[0] = stage.start(stack, 0)
    assert stage.call("set", "80", *WHY)["processes"]["known"] == 1
