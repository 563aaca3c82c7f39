"""`migctl drill run --all`: several drills, one of which fails; cut short; and what can't be asked of it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.drill.test_run import folders, write
from tests.kit.serve_process import environment, run

ARMED = """\
  - type: action
    name: a file says that it is armed
    provider: { type: process, path: touch, arguments: [ARMED] }
    pauses: { after: 120 }
"""


@pytest.fixture(autouse=True)
def _temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield
        assert folders() == set()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def shipped(folder: Path, **of: str) -> list[str]:
    """Short drills of one's own, by name, with their objectives; and the words that run them alone."""
    (folder / "configs" / "drills").mkdir(parents=True)
    for name, objectives in of.items():
        seconds = 120 if name == "long" else 0.5
        write(folder, seconds=seconds, objectives=objectives).rename(
            folder / "configs" / "drills" / f"{name}.yaml"
        )
    return ["drill", "run", "--all", *(word for name in of for word in ("--only", name))]


@pytest.mark.slow
def test_a_drill_that_misses_an_objective_does_not_end_the_day_and_each_counts_as_if_alone(
    tmp_path: Path,
) -> None:
    words = shipped(tmp_path, misses="{ max_longest_silence_ms: 0.001 }", passes="{}", skipped="{}")
    done = run(tmp_path, *words, "--skip", "skipped", "--output", "json")
    assert done.returncode == 1, done.stderr
    day = json.loads(done.stdout)
    assert (day["schema"], day["verdict"], day["not_run"]) == ("migctl.gameday/1", "fail", [])
    assert [(one["drill"], one["verdict"]) for one in day["drills"]] == [
        ("misses", "fail"),
        ("passes", "pass"),
    ]
    assert [one["name"] for one in day["drills"][0]["missed"]] == ["max_longest_silence_ms"]
    for one in day["drills"]:
        kept = json.loads((tmp_path / "drills" / f"{one['id']}.json").read_bytes())
        assert (kept["verdict"], kept["lost"], kept["config"]) == (one["verdict"], 0, day["config"])
    lines = [json.loads(text) for text in (tmp_path / "drills.ndjson").read_bytes().splitlines()]
    assert [(one["drill"], one["verdict"]) for one in lines] == [("misses", "fail"), ("passes", "pass")]
    page = (tmp_path / "drills" / f"{day['id']}.html").read_text()
    links = re.findall(r'<a href="([^"]+)"', page)
    assert len(set(links)) == 2
    assert all((tmp_path / "drills" / link).is_file() for link in links)
    history = json.loads(run(tmp_path, "drill", "history", "--output", "json").stdout)
    assert [one["id"] for one in history["drills"]] == [one["id"] for one in day["drills"]]
    assert history["gamedays"] == [day]
    assert "game day: fail, 1 of 2 passed" in run(tmp_path, "drill", "history").stdout


@pytest.mark.slow
def test_an_interrupt_runs_the_rollbacks_of_the_drill_and_ends_the_day_with_a_report(tmp_path: Path) -> None:
    words = shipped(tmp_path, long="{}", never="{}")
    file, armed = tmp_path / "configs" / "drills" / "long.yaml", tmp_path / "armed"
    touched = ARMED.replace("ARMED", str(armed))
    file.write_text(
        file.read_text().replace("after: 120", "after: 0").replace("rollbacks:\n", f"{touched}rollbacks:\n")
    )
    day = subprocess.Popen(
        [sys.executable, "-m", "migctl", *words, "--output", "json"],
        env=environment(tmp_path), cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(armed.exists)
    day.send_signal(signal.SIGINT)
    printed, _ = day.communicate(timeout=90)
    assert day.returncode == 130
    assert (tmp_path / "rolled").exists()
    found = json.loads(printed)
    assert (found["verdict"], found["not_run"]) == ("terminated", ["never"])
    assert [(one["drill"], one["verdict"]) for one in found["drills"]] == [("long", "terminated")]
    assert json.loads((tmp_path / "drills" / f"{found['id']}.json").read_bytes()) == found


@pytest.mark.parametrize(
    "words",
    [
        ("run",), ("run", "failover", "--skip", "latency"), ("run", "failover", "--all"), ("run", "--all", "--without", "breaker"),
        ("run", "--all", "--minutes", "1"), ("run", "--all", "--only", "failver"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_has_no_meaning_is_refused_with_the_way_out(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(tmp_path, "drill", *words)
    assert done.returncode == 2
    assert any(way in done.stderr for way in ("--all", "--only", "did you mean failover?"))
    assert not (tmp_path / "drills").exists()


def test_every_file_is_checked_before_the_first_drill_begins(tmp_path: Path) -> None:
    words = shipped(tmp_path, first="{}", second="{ max_losst: 0 }")
    done = run(tmp_path, *words)
    assert done.returncode == 2
    assert "second.yaml" in done.stderr
    assert not (tmp_path / "drills").exists()
