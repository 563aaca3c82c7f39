from __future__ import annotations

import stat
from pathlib import Path

import pytest

from migctl.config.files import make_private_folder, write_whole


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_of_ours_is_for_its_owner_alone_and_so_is_what_was_made_above_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path / "a" / "b")
    assert (mode(tmp_path), mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o755, 0o700, 0o700)


def test_a_folder_that_others_could_read_is_mended(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    make_private_folder(tmp_path / "state")
    assert mode(tmp_path / "state") == 0o700


def test_a_file_is_replaced_whole_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    path.chmod(0o644)
    write_whole(path, "after")
    assert (path.read_text(), mode(path)) == ("after", 0o600)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").touch()
    with pytest.raises(OSError):
        write_whole(tmp_path / "folder", "text")
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]
