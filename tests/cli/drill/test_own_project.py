"""A drill on a project of the operator's own: https, by its name, with tables in a schema of its own. It leaves nothing there."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migctl.target.schema import EVENTS, HEADS
from tests.cli.drill.test_run import folders, start, until, write
from tests.kit.foreign import SCHEMA, Foreign, foreign
from tests.kit.serve_process import environment, run

ELSEWHERE = {"SUPABASE_URL": "https://abc.supabase.co/"}
CONFIRMED = ("--confirm", "https://abc.supabase.co")
# Another's event, that no head knows, and a stream that begins while the drill runs.
STRANGER = (
    f"insert into {SCHEMA}.{EVENTS} (id, event_type, timestamp, data, source, epoch, seq, committed_at)"
    " values (gen_random_uuid(), 'cpu', now(), '{}', 'somebody', 'another', 1, now())"
)
HEAD = f"insert into {SCHEMA}.{HEADS} (epoch, writer_id, started_at) values ('another', 'somebody', now())"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    with foreign(tmp_path_factory.mktemp("foreign")) as found:
        yield found


@pytest.fixture(autouse=True)
def _temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield
        assert folders() == set()


@pytest.fixture
def untouched(project: Foreign) -> Iterator[None]:
    """Every row of every table is afterwards as it was."""
    before = project.contents()
    yield
    assert project.contents() == before


def drilled(folder: Path, project: Foreign, *words: str) -> tuple[int, dict[str, Any]]:
    confirmed = ("--confirm", project.url, "--output", "json")
    done = run(folder, "drill", *words, *confirmed, more=project.environ)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, found


@pytest.mark.slow
@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", ["failover", "websocket-outage", "publisher-crash", "rollback"])
def test_a_drill_that_ships_runs_there_and_leaves_nothing_behind(
    tmp_path: Path, project: Foreign, name: str
) -> None:
    project.execute(STRANGER)
    try:
        _, found = drilled(tmp_path, project, name, "--rate", "25")
        rows = project.contents()[f"{SCHEMA}.{EVENTS}"]
        assert len(rows) == 1
    finally:
        project.execute(f"delete from {SCHEMA}.{EVENTS} where epoch = 'another'")
    assert found["target"] == project.url
    assert (found["lost"], found["duplicates"], found["out_of_order"]) == (0, 0, 0), found["reason"]
    assert [one["holds"] for one in found["steady_states"]] == [True, True, True], found["steady_states"]
    assert found["published"] > 100
    assert found["store"]["rows"] == found["published"]
    assert all(one["complete"] for one in found["subscribers"])
    assert all(one["released"] > 100 for one in found["subscribers"])
    assert any("were taken out of" in one["what"] for one in found["timeline"])
    assert project.door.hosts == {project.url.removeprefix("https://")}
    assert project.door.names == {project.url.removeprefix("https://").partition(":")[0]}


@pytest.mark.slow
def test_what_a_killed_drill_left_is_taken_out_by_who_has_the_keys_and_by_nobody_else(
    tmp_path: Path, project: Foreign
) -> None:
    before = project.contents()
    words = (str(write(tmp_path, seconds=120)), "--confirm", project.url)
    drill = start(tmp_path, *words, more=project.environ)
    until(drill, "fault      cut")
    os.kill(drill.pid, signal.SIGKILL)
    drill.wait(10)
    assert drill.stderr is not None
    drill.stderr.close()
    project.execute(STRANGER)
    project.execute(HEAD)
    left = project.contents()
    assert len(left[f"{SCHEMA}.{HEADS}"]) == 2
    assert len(left[f"{SCHEMA}.{EVENTS}"]) > 10
    done = run(tmp_path, "drill", "clean")
    assert (done.returncode, project.url in done.stderr) == (1, True), done.stderr
    assert project.contents() == left
    assert folders() == set()
    done = run(tmp_path, "drill", "clean", more=project.environ)
    assert (done.returncode, project.url in done.stdout) == (0, True), done.stderr
    after = project.contents()
    assert [len(after[f"{SCHEMA}.{table}"]) for table in (EVENTS, HEADS)] == [1, 1]
    for table in (EVENTS, HEADS):
        project.execute(f"delete from {SCHEMA}.{table} where epoch = 'another'")
    assert project.contents() == before
    assert not list((tmp_path / "drills" / "running").iterdir())


@pytest.mark.slow
@pytest.mark.usefixtures("untouched")
def test_a_drill_that_is_interrupted_leaves_nothing_there_either(tmp_path: Path, project: Foreign) -> None:
    words = (str(write(tmp_path, seconds=120)), "--confirm", project.url)
    drill = start(tmp_path, *words, more=project.environ)
    until(drill, "fault      cut")
    os.killpg(drill.pid, signal.SIGINT)
    until(drill, "rollback")
    os.killpg(drill.pid, signal.SIGINT)
    assert drill.stderr is not None
    with drill.stderr:
        rest = drill.stderr.read()
    assert drill.wait(60) == 130, rest


@pytest.mark.slow
@pytest.mark.usefixtures("untouched")
def test_a_project_in_which_a_stream_lives_is_refused(tmp_path: Path, project: Foreign) -> None:
    project.execute(HEAD)
    try:
        done = run(tmp_path, "drill", "failover", "--confirm", project.url, more=project.environ)
    finally:
        project.execute(f"delete from {SCHEMA}.{HEADS}")
    assert done.returncode == 4
    assert f"{SCHEMA}.{HEADS} has 1 row: a stream lives there" in " ".join(done.stderr.split())
    assert not (tmp_path / "drills").exists()


def test_a_project_that_nobody_confirmed_is_refused_before_it_is_asked(tmp_path: Path) -> None:
    done = run(tmp_path, "drill", "failover", more=ELSEWHERE)
    assert done.returncode == 4
    assert "--confirm https://abc.supabase.co" in " ".join(done.stderr.split())
    done = run(tmp_path, "drill", "failover", "--confirm", "https://abd.supabase.co", more=ELSEWHERE)
    assert (done.returncode, "'https://abd.supabase.co' is not" in done.stderr) == (4, True)
    done = run(tmp_path, "drill", "run", "--all", more=ELSEWHERE)
    assert done.returncode == 4
    assert not (tmp_path / "drills").exists()


def test_a_drill_that_acts_on_parts_of_the_stack_is_refused_with_their_names(tmp_path: Path) -> None:
    done = run(tmp_path, "drill", "slot-loss", *CONFIRMED, more=ELSEWHERE)
    assert (done.returncode, "acts on standin" in " ".join(done.stderr.split())) == (4, True)
    words = ("--only", "postgres-restart")
    done = run(tmp_path, "drill", "run", "--all", *words, *CONFIRMED, more=ELSEWHERE)
    assert (done.returncode, "acts on postgres" in " ".join(done.stderr.split())) == (4, True)
    assert not (tmp_path / "drills").exists()


def test_the_list_says_which_drills_may_run_there(tmp_path: Path) -> None:
    listed = json.loads(run(tmp_path, "drill", "list", "--output", "json").stdout)["drills"]
    may = {one["drill"]: (one["own_project"], one["needs"], one["read_only"]) for one in listed}
    assert may["failover"] == may["rollback"] == (True, [], False)
    assert may["postgres-restart"] == (False, ["postgres"], False)
    assert may["canary"] == (True, [], True)
    assert may["soak"][1] == ["postgres", "standin", "valkey"]
    shown = " ".join(run(tmp_path, "drill", "show", "slot-loss").stdout.split())
    assert "a project of your own: no, only a stack of its own has what this acts on" in shown
    assert "a project of your own: yes" in run(tmp_path, "drill", "show", "failover").stdout


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [("https://abc.supabase.co", 2, "SUPABASE_ANON_KEY is not set"), ("yes", 4, "nothing was changed")],
)
def test_at_a_terminal_its_name_is_typed(tmp_path: Path, answer: str, code: int, words: str) -> None:
    ours, theirs = pty.openpty()
    drill = subprocess.Popen(
        [sys.executable, "-m", "migctl", "drill", "failover"],
        env=environment(tmp_path, ELSEWHERE),
        cwd=tmp_path,
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    shown, asked, deadline = "", False, time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # the other end is closed: it has ended
            break
        shown += chunk.decode()
        if not asked and "to go on" in " ".join(shown.split()):
            asked = True
            os.write(ours, f"{answer}\n".encode())
    assert drill.wait(60) == code, shown
    os.close(ours)
    assert words in " ".join(shown.split())
