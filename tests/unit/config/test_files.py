from __future__ import annotations

import stat
from pathlib import Path

import pytest

from migctl.config.files import make_private_folder, mend_private_tree, open_private_log, write_whole


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


def test_tree_of_ours_is_closed_to_others_and_what_looks_after_itself_is_left(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o644)
    tree = tmp_path / "tree"
    (tree / "part" / "data").mkdir(parents=True)
    (tree / "part" / "data" / "kept").write_text("")
    (tree / "part" / "log").write_text("")
    (tree / "part" / "link").symlink_to(outside)
    for path in (tree, tree / "part", tree / "part" / "data"):
        path.chmod(0o755)
    (tree / "part" / "log").chmod(0o664)
    mend_private_tree(tree, but=("data",))
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in (tree, *tree.rglob("*"), outside)}
    assert (modes["tree"], modes["part"], modes["log"]) == (0o700, 0o700, 0o600)
    assert (modes["data"], modes["outside"]) == (0o755, 0o644)


def test_log_that_others_could_read_is_closed_to_them_and_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\n")
    log.chmod(0o644)
    with open_private_log(log) as file:
        file.write(b"two\n")
    assert log.read_text() == "one\ntwo\n"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_folder_that_is_everybodys_is_left_as_it_is(tmp_path: Path) -> None:
    everybodys = tmp_path / "everybodys"
    everybodys.mkdir()
    everybodys.chmod(0o1777)
    make_private_folder(everybodys)
    assert stat.S_IMODE(everybodys.stat().st_mode) == 0o1777
