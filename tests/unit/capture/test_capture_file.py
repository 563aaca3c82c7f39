"""The files of a capture, on a real disk, a full one included."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from migctl.errors import Refused, Systemic, Usage
from migctl.validate.capture_file import CaptureFile
from tests.kit.releases import release


@contextmanager
def disk_that_takes(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_line_is_in_the_file_when_write_returns(tmp_path: Path) -> None:
    file = CaptureFile(tmp_path / "new" / "folder", "realtime")
    file.check(force=False)
    file.open()
    file.write([release(1), release(2)])
    assert [json.loads(line)["seq"] for line in file.path.read_bytes().splitlines()] == [1, 2]
    assert not file.summary_path.exists()
    file.finish({"received": file.lines})
    assert json.loads(file.summary_path.read_bytes()) == {"received": 2}
    assert sorted(path.name for path in file.path.parent.iterdir()) == [
        "realtime.ndjson",
        "realtime.summary.json",
    ]


def test_a_full_disk_is_told_and_leaves_whole_lines(tmp_path: Path) -> None:
    file = CaptureFile(tmp_path, "realtime")
    file.open()
    with (
        disk_that_takes(1000),
        pytest.raises(Systemic, match=r"2 lines are written, a:3 is the first that is not"),
    ):
        file.write([release(1), release(2)])
        file.write([release(seq) for seq in range(3, 9)])
    lines = file.path.read_bytes()
    assert lines.endswith(b"}\n")
    assert [json.loads(line)["seq"] for line in lines.splitlines()] == [1, 2]


@pytest.mark.parametrize("name", ["realtime.ndjson", "realtime.summary.json"])
def test_a_capture_that_is_there_is_not_written_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious\n")
    file = CaptureFile(tmp_path, "realtime")
    with pytest.raises(Refused, match="is there already"):
        file.check(force=False)
    assert (tmp_path / name).read_text() == "precious\n"


def test_force_replaces_both_files(tmp_path: Path) -> None:
    for name in ("realtime.ndjson", "realtime.summary.json", "websocket.ndjson"):
        (tmp_path / name).write_text("old\n")
    file = CaptureFile(tmp_path, "realtime")
    file.check(force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["websocket.ndjson"]


def test_two_captures_that_begin_at_once_do_not_share_a_file(tmp_path: Path) -> None:
    first, second = CaptureFile(tmp_path, "realtime"), CaptureFile(tmp_path, "realtime")
    first.check(force=False)
    second.check(force=False)
    first.open()
    with pytest.raises(Refused):
        second.open()


def test_folder_that_is_a_file_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(Usage, match="taken"):
        CaptureFile(tmp_path / "taken", "realtime").check(force=False)
