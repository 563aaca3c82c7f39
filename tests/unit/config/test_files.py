from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from migctl.config.files import (
    check_state_folder,
    make_private_folder,
    make_state_folder,
    mend_private_tree,
    open_private_log,
    others_may_write,
    read_own,
    write_whole,
)
from migctl.errors import Refused, Usage
from tests.kit import needs
from tests.kit.other_user import NOBODY


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_of_ours_is_for_its_owner_alone_and_so_is_what_was_made_above_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path / "a" / "b")
    assert (mode(tmp_path), mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o755, 0o700, 0o700)


# Name, whether something is in it, mode before, mode after. One that is ours alone is mended; any other is somebody's.
MENDED = [
    ("state", False, 0o755, 0o700),
    ("state", True, 0o755, 0o755),
    ("state", True, 0o770, 0o770),
    (".migctl", True, 0o755, 0o700),
    (".migctl", False, 0o777, 0o700),
    (".migctl", True, 0o777, 0o777),
    (".migctl", True, 0o770, 0o770),
    (".migctl", True, 0o1777, 0o1777),
    ("state", True, 0o700, 0o700),
]


@pytest.mark.parametrize(("name", "used", "before", "after"), MENDED)
def test_a_folder_that_is_ours_alone_is_mended_and_what_is_in_use_otherwise_is_left(
    tmp_path: Path, name: str, used: bool, before: int, after: int
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    if used:
        (folder / "README.md").touch()
    folder.chmod(before)
    make_private_folder(folder)
    assert mode(folder) == after


@pytest.mark.parametrize("by", ["dot", "link"])
def test_a_folder_is_known_by_its_own_name_however_it_is_named(
    tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter").touch()
    home.chmod(0o755)
    (tmp_path / ".migctl").symlink_to(home)
    monkeypatch.chdir(home)
    make_private_folder(Path() if by == "dot" else tmp_path / ".migctl")
    assert mode(home) == 0o755


@pytest.mark.parametrize("before", [0o775, 0o757, 0o777, 0o1777])
def test_a_state_folder_that_others_can_write_to_is_refused_with_the_way_out(
    tmp_path: Path, before: int
) -> None:
    folder = tmp_path / "shared"
    (folder / "theirs").mkdir(parents=True)
    folder.chmod(before)
    with pytest.raises(
        Refused, match=f"other users can write to the state folder .mode {before:04o}"
    ) as refused:
        make_state_folder(folder)
    assert f"MIGCTL_STATE_DIR={folder}/.migctl" in refused.value.do
    assert mode(folder) == before
    make_state_folder(folder / ".migctl")
    assert mode(folder / ".migctl") == 0o700


@needs.as_root
def test_a_state_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o700)
    os.chown(tmp_path / "theirs", NOBODY, NOBODY)
    with pytest.raises(Refused, match=f"belongs to another user .uid {NOBODY}"):
        make_state_folder(tmp_path / "theirs")
    assert mode(tmp_path / "theirs") == 0o700


def test_a_state_folder_that_cannot_be_made_is_usage(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Usage, match="Not a directory"):
        make_state_folder(tmp_path / "file" / ".migctl")


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


@pytest.mark.parametrize(
    ("folder", "file", "believed"),
    [
        (0o700, 0o600, True),
        (0o755, 0o644, True),
        (0o700, 0o660, False),
        (0o700, 0o602, False),
        (0o770, 0o600, False),
        (0o1777, 0o600, False),
    ],
)
def test_a_file_of_the_state_folder_is_believed_where_nobody_else_could_have_written_it(
    tmp_path: Path, folder: int, file: int, believed: bool
) -> None:
    path = tmp_path / "state" / "file"
    path.parent.mkdir()
    path.write_text("said")
    path.chmod(file)
    path.parent.chmod(folder)
    if believed:
        assert read_own(path) == b"said"
        return
    with pytest.raises(Refused, match="chmod"):
        read_own(path)


@needs.as_root
@pytest.mark.parametrize("given", ["file", "folder"])
def test_a_file_of_another_user_is_not_believed_nor_one_in_a_folder_of_theirs(
    tmp_path: Path, given: str
) -> None:
    path = tmp_path / "state" / "file"
    path.parent.mkdir(mode=0o700)
    path.write_text("said")
    path.chmod(0o600)
    os.chown(path if given == "file" else path.parent, NOBODY, NOBODY)
    with pytest.raises(Refused, match=f"uid {NOBODY}"):
        read_own(path)


def test_what_is_not_there_is_not_refused(tmp_path: Path) -> None:
    check_state_folder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        read_own(tmp_path / "nowhere" / "file")


@pytest.fixture
def account(tmp_path: Path) -> Iterator[pwd.struct_passwd]:
    """A user of this machine that is not root, with a group of its own name, while the test lasts."""
    if os.geteuid() != 0:
        needs.right("to make a user")
    if shutil.which("useradd") is None:
        needs.program("useradd: apt-get install passwd")
    name = f"migctl{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", "--user-group", name], check=True, capture_output=True)
    try:
        yield pwd.getpwnam(name)
    finally:
        subprocess.run(["userdel", name], check=True, capture_output=True)


def test_a_group_that_is_the_users_own_is_nobody_else_until_somebody_joins_it(
    tmp_path: Path, account: pwd.struct_passwd
) -> None:
    """Many systems give each user a group, and a umask that lets it write."""
    file = tmp_path / "migctl.yaml"
    file.write_text("")
    os.chown(file, account.pw_uid, account.pw_gid)
    file.chmod(0o664)
    assert not others_may_write(file.stat())
    file.chmod(0o666)
    assert others_may_write(file.stat())
    file.chmod(0o664)
    subprocess.run(["usermod", "-aG", account.pw_name, "daemon"], check=True, capture_output=True)
    assert others_may_write(file.stat())
    os.chown(file, account.pw_uid, 0)
    assert others_may_write(file.stat()), "another group"


def test_roots_group_is_shared(tmp_path: Path) -> None:
    file = tmp_path / "migctl.yaml"
    file.write_text("")
    file.chmod(0o660)
    found = file.stat()
    if found.st_uid != 0:
        needs.right("to be root")
    assert others_may_write(found)
