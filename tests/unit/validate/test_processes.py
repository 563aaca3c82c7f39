"""Processes: one that fails is an error that says why; the first bad line is named, whoever met it."""

from __future__ import annotations

from pathlib import Path

import pytest

from migctl.errors import MigctlError, Usage
from migctl.validate.kinds import Side
from migctl.validate.processes import run_all
from migctl.validate.shard import Input, Job
from migctl.validate.window import Window
from tests.kit.captures import Scene


def jobs(folder: Path, shards: int = 2) -> list[Job]:
    files = [Input(side, path := folder / f"{side.label}.ndjson", path.stat().st_size) for side in Side]
    return [Job(files, Window("captures"), 5.0, 3, shard, shards, 1 << 28) for shard in range(shards)]


def test_the_sum_of_the_processes_is_the_whole(tmp_path: Path) -> None:
    total = run_all(jobs(Scene(30).write(tmp_path)))
    assert (total.expected, total.matched, total.lost) == (30, 30, 0)


def test_a_process_that_dies_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(MigctlError, match=r"ended with 1: .*no_such_module") as failed:
        run_all(jobs(Scene(3).write(tmp_path)), "no_such_module")
    assert failed.value.exit_code == 70


def test_a_file_that_can_t_be_used_is_named(tmp_path: Path) -> None:
    scene = Scene(30).write(tmp_path)
    lines = (scene / "realtime.ndjson").read_bytes().splitlines(keepends=True)
    lines[4] = b"{}\n"
    (scene / "realtime.ndjson").write_bytes(b"".join(lines))
    with pytest.raises(Usage, match=r"realtime\.ndjson:5"):
        run_all(jobs(scene))
