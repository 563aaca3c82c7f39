"""`migctl drill`: run, cut short, killed; what it leaves behind, which is nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from migctl.cli.main import main
from migctl.config import Settings
from migctl.drills.conducting import conduct
from migctl.drills.document import Configuration
from migctl.drills.ordering import ordered
from migctl.drills.running import Run
from migctl.drills.sampling import Moment
from migctl.drills.world.deployment import Deployment
from migctl.faults.lacking import Lacking
from tests.kit import seed
from tests.kit.serve_process import environment, run

SHORT = """\
title: the line to Supabase is reset
description: every connection is reset once, and nobody loses anything
configuration:
  rate_per_s: 50
  calm_s: 1
  subscribers: { "whole:realtime": 1, "whole:websocket": 1, legacy: 1 }
steady-state-hypothesis:
  title: nobody is behind
  probes:
    - type: probe
      name: behind
      tolerance: 0
      provider: { type: migctl, func: subscribers-behind }
method:
  - type: action
    name: cut
    provider: { type: migctl, func: reset, arguments: { line: supabase } }
    pauses: { after: SECONDS }
rollbacks:
  - type: action
    name: a file tells that it ran
    provider: { type: process, path: touch, arguments: [ROLLED] }
objectives: OBJECTIVES
"""


def write(
    folder: Path, *, seconds: float = 2, objectives: str = "{ max_time_to_fallback_ms: 20000 }"
) -> Path:
    text = SHORT.replace("SECONDS", str(seconds)).replace("ROLLED", str(folder / "rolled"))
    path = folder / "short.yaml"
    path.write_text(text.replace("OBJECTIVES", objectives))
    return path


def folders() -> set[Path]:
    return set(Path(os.environ["TMPDIR"]).glob("migctl-drill-*"))


@pytest.fixture(autouse=True)
def _temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Drills of other tests run at the same time: each has a place of its own, which is empty at the end."""
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield
        assert folders() == set()


def result(folder: Path) -> dict[str, Any]:
    [path] = (folder / "drills").glob("*.json")
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


class Nobody:
    """Nobody looks on."""

    def moment(self, moment: Moment) -> None: ...

    def tick(self, run: Run) -> None: ...


def start(folder: Path, *words: str, more: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """In a session of its own, as at a terminal: a Ctrl-C there is a signal to all of its group."""
    return subprocess.Popen(
        [sys.executable, "-m", "migctl", "drill", *words],
        env=environment(folder, {**seed.REAL, **(more or {})}),  # its processes are looked at
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"it ended without {words!r}")


@pytest.mark.slow
def test_a_drill_that_passes_measures_everything_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run(tmp_path, "drill", str(write(tmp_path)), "--output", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["schema"], found["drill"], found["verdict"]) == ("migctl.drill/1", "short", "pass")
    assert (found["lost"], found["duplicates"], found["out_of_order"]) == (0, 0, 0)
    assert found["published"] > 100
    assert [one["when"] for one in found["steady_states"]] == ["before", "after", "after_rollbacks"]
    assert all(one["holds"] for one in found["steady_states"])
    assert [one["name"] for one in found["faults"]] == ["cut"]
    assert found["time_to_fallback_ms"] is not None
    assert {one["kind"] for one in found["subscribers"]} == {"whole:realtime", "whole:websocket", "legacy"}
    assert all(one["released"] > 50 for one in found["subscribers"])
    assert sum(one["committed"] for one in found["series"]) > 50
    assert (tmp_path / "rolled").exists()
    assert json.loads(json.dumps(result(tmp_path))) == found
    history = run(tmp_path, "drill", "history", "--output", "json")
    assert [one["id"] for one in json.loads(history.stdout)["drills"]] == [found["id"]]
    assert not list((tmp_path / "drills" / "running").iterdir())
    [line] = [json.loads(text) for text in (tmp_path / "drills.ndjson").read_bytes().splitlines()]
    assert (line["drill"], line["verdict"], line["config"]) == ("short", "pass", found["config"])
    assert len(found["config"]) == 12


@pytest.mark.slow
def test_an_objective_that_is_missed_fails_the_drill_and_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, objectives="{ max_time_to_detect_ms: 1, max_longest_silence_ms: 0.001 }")
    done = run(tmp_path, "drill", "run", str(path), "--output", "json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"] == "fail"
    assert "max_longest_silence_ms" in found["reason"]


@pytest.mark.slow
def test_an_interrupt_runs_the_rollbacks_and_a_second_one_does_not_stop_them(tmp_path: Path) -> None:
    drill = start(tmp_path, str(write(tmp_path, seconds=120)))
    until(drill, "fault      cut")
    drill.send_signal(signal.SIGINT)
    until(drill, "rollback")
    drill.send_signal(signal.SIGINT)
    assert drill.wait(60) == 130
    assert drill.stderr is not None
    drill.stderr.close()
    found = result(tmp_path)
    assert found["verdict"] == "terminated"
    assert [one["when"] for one in found["steady_states"]] == ["before", "after_rollbacks"]
    assert (tmp_path / "rolled").exists()


@pytest.mark.slow
def test_a_second_ctrl_c_does_not_end_a_command_of_a_rollback_that_is_underway(tmp_path: Path) -> None:
    path = write(tmp_path, seconds=120)
    before, objectives, after = path.read_text().partition("objectives")
    share = "type: migctl, func: rollout-set, arguments: { percent: 0 }"
    taken = f"  - {{ type: action, name: taken back, provider: {{ {share} }} }}\n"
    path.write_text(before.replace("  calm_s", "  flag: record\n  calm_s") + taken + objectives + after)
    drill = start(tmp_path, str(path))
    until(drill, "fault      cut")
    os.killpg(drill.pid, signal.SIGINT)
    until(drill, "rollback   taken back")
    deadline = time.monotonic() + 30
    while not underway(drill, "rollout", "set"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(drill.pid, signal.SIGINT)
    assert drill.wait(60) == 130
    assert drill.stderr is not None
    drill.stderr.close()
    found = result(tmp_path)
    assert found["verdict"] == "terminated", found["reason"]
    done = [(one["kind"], one["what"].partition(":")[0]) for one in found["timeline"]]
    second = done.index(("signal", "SIGINT"))
    assert ("action", "taken back") in done[second:]


def underway(drill: subprocess.Popen[str], *words: str) -> bool:
    """Whether one of its processes was started with these words."""
    for one in psutil.Process(drill.pid).children():
        with suppress(psutil.NoSuchProcess):
            if set(words) <= set(one.cmdline()):
                return True
    return False


@pytest.mark.slow
def test_after_a_kill_no_process_is_left_and_clean_takes_the_rest(tmp_path: Path) -> None:
    drill = start(tmp_path, str(write(tmp_path, seconds=120)))
    until(drill, "fault      cut")
    [left] = folders()
    children = psutil.Process(drill.pid).children(recursive=True)
    assert len(children) > 6
    os.kill(drill.pid, signal.SIGKILL)
    drill.wait(10)
    assert drill.stderr is not None
    drill.stderr.close()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
    assert left.exists()
    done = run(tmp_path, "drill", "clean")
    assert done.returncode == 0
    assert "short" in done.stdout
    assert not left.exists()
    assert not list((tmp_path / "drills" / "running").iterdir())


@pytest.mark.slow
def test_a_hypothesis_that_does_not_hold_before_is_no_failure_of_what_was_never_tried(tmp_path: Path) -> None:
    path = write(tmp_path)
    text = (
        path.read_text()
        .replace("tolerance: 0", "tolerance: 99")
        .replace("calm_s: 1", "calm_s: 1\n  steady_within_s: 2")
    )
    path.write_text(text)
    began = time.monotonic()
    done = run(tmp_path, "drill", str(path), "--output", "json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["verdict"] == "inconclusive"
    assert found["faults"] == []
    assert "before" in found["reason"]
    assert time.monotonic() - began < 120


@pytest.mark.slow
def test_a_drill_that_needs_what_the_machine_lacks_is_inconclusive_and_says_how_to_get_it(
    tmp_path: Path,
) -> None:
    def equip(_: Deployment, __: Configuration) -> None:
        raise Lacking("there is no such thing", do="install it")

    order = ordered(Settings(state_dir=str(tmp_path / "state")), "clock-step")
    found = conduct(order, Nobody(), equip=equip)
    assert (found.verdict, found.steady_states) == ("inconclusive", [])
    assert found.reason == "there is no such thing; install it"
    assert result(tmp_path / "state")["verdict"] == "inconclusive"


def test_an_unknown_drill_and_a_bad_file_exit_2_and_say_the_way_out(tmp_path: Path) -> None:
    done = run(tmp_path, "drill", "failver")
    assert (done.returncode, "did you mean failover?" in done.stderr) == (2, True)
    path = write(tmp_path)
    path.write_text(path.read_text().replace("func: reset", "func: rest"))
    done = run(tmp_path, "drill", str(path))
    assert done.returncode == 2
    assert f"{path}:17: method.0.provider.func" in done.stderr.replace("\n", "")
    assert "did you mean reset?" in done.stderr


def test_every_drill_that_ships_is_listed_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = json.loads(run(tmp_path, "drill", "list", "--output", "json").stdout)["drills"]
    assert "failover" in [one["drill"] for one in listed]
    monkeypatch.chdir(tmp_path)
    for one in listed:
        assert main(["drill", "show", one["drill"], "--output", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["title"] == one["title"]
    assert "breaker-state" in run(tmp_path, "drill", "show", "--functions").stdout
