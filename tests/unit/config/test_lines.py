"""Files that grow by lines: each there whole or not at all."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from migctl.config.lines import append, whole_lines


def test_lines_stand_one_below_the_other_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "lines.ndjson"
    append(path, b'{"a":1}')
    append(path, b'{"a":2}')
    assert path.read_bytes() == b'{"a":1}\n{"a":2}\n'
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_a_kill_left_half_written_is_no_line_and_makes_room_for_the_next(tmp_path: Path) -> None:
    path = tmp_path / "lines.ndjson"
    path.write_bytes(b'{"a":1}\n{"a":')
    assert whole_lines(path.read_bytes()) == [b'{"a":1}']
    append(path, b'{"a":2}')
    assert path.read_bytes() == b'{"a":1}\n{"a":2}\n'


def test_a_whole_line_that_lacks_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "lines.ndjson"
    path.write_bytes(b'{"a":1}')
    assert whole_lines(path.read_bytes()) == [b'{"a":1}']
    append(path, b'{"a":2}')
    assert path.read_bytes() == b'{"a":1}\n{"a":2}\n'


def test_a_line_for_which_there_is_no_room_leaves_nothing_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "lines.ndjson"
    append(path, b'{"a":1}')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            append(path, b'{"a":2222222222}')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == b'{"a":1}\n'


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lines.ndjson").symlink_to(tmp_path / "other")
    with pytest.raises(OSError):
        append(tmp_path / "lines.ndjson", b"{}")
    assert not (tmp_path / "other").exists()
