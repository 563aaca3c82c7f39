"""What a drill that was killed left, found and undone."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from migctl.config import Target
from migctl.drills.ledger import Ledger, Left, clean, folder_of, left_behind, ours
from migctl.drills.world.project import Project, Traces
from migctl.errors import Usage


def deployment(folder: Path, name: str = "migctl-drill-abc") -> Path:
    made = folder / name
    (made / "stack").mkdir(parents=True)
    (made / "serve.log").write_text("x")
    return made


def gone(folder: Path, *, kept: bool = False) -> Left:
    """A note of a process that is no more: its pid is ours, its birth is not."""
    return Left(id="1", drill="failover", pid=os.getpid(), born="boot:0", folder=str(folder), kept=kept)


def test_a_drill_that_ended_leaves_no_note(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, ours("1", "failover", tmp_path / "x", kept=False))
    assert [left.drill for _, left in left_behind(tmp_path)] == ["failover"]
    ledger.done()
    assert left_behind(tmp_path) == []


def test_what_a_killed_drill_left_is_removed_and_told(tmp_path: Path) -> None:
    made = deployment(tmp_path)
    Ledger(tmp_path, gone(made))
    assert [left.drill for left in clean(tmp_path)] == ["failover"]
    assert not made.exists()
    assert left_behind(tmp_path) == []


def test_a_drill_that_still_runs_is_left_alone(tmp_path: Path) -> None:
    made = deployment(tmp_path)
    Ledger(tmp_path, ours("1", "failover", made, kept=False))
    assert clean(tmp_path) == []
    assert made.exists()


def test_what_it_wrote_to_a_project_stays_noted_until_somebody_has_the_keys(tmp_path: Path) -> None:
    made = deployment(tmp_path)
    traces = Traces(
        "https://abc.supabase.co", "db", "public", "writer", ["epoch"], "drill-1", "http://127.0.0.1:1"
    )
    Ledger(tmp_path, gone(made)).wrote(traces)
    other = Project(Target("https://other.supabase.co"), "public", "drill-2", None)
    for project in (None, other):
        assert clean(tmp_path, project) == []
        assert [left.traces for _, left in left_behind(tmp_path)] == [traces]
    assert not made.exists()


def test_a_drill_whose_events_could_not_be_taken_out_stays_noted_though_it_ended(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, ours("1", "failover", tmp_path / "x", kept=False))
    ledger.wrote(
        Traces("https://abc.supabase.co", "db", "public", "writer", [], "drill-1", "http://127.0.0.1:1")
    )
    ledger.done()
    assert len(left_behind(tmp_path)) == 1
    ledger.erased()
    ledger.done()
    assert left_behind(tmp_path) == []


def test_a_folder_that_was_to_be_kept_stays(tmp_path: Path) -> None:
    made = deployment(tmp_path)
    Ledger(tmp_path, gone(made, kept=True))
    clean(tmp_path)
    assert made.exists()


@pytest.mark.parametrize("name", ["home", "migctl-drill-abc"])
def test_a_folder_that_is_none_of_ours_is_never_removed(tmp_path: Path, name: str) -> None:
    foreign = tmp_path / name
    foreign.mkdir()
    (foreign / "file").write_text("x")
    Ledger(tmp_path, gone(foreign))
    clean(tmp_path)
    assert (foreign / "file").exists()


def test_a_note_that_is_none_is_told_with_its_file(tmp_path: Path) -> None:
    Ledger(tmp_path, gone(tmp_path / "x"))
    path = folder_of(tmp_path) / "1.json"
    path.write_bytes(msgspec.json.encode({"pid": 1}))
    with pytest.raises(Usage, match=r"1\.json"):
        clean(tmp_path)
