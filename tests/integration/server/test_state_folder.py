"""Where a `serve` keeps its state: a folder that is somebody's home stays as it is, and what is put into it is private."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from migctl.errors import Refused
from migctl.stack.embedded import EmbeddedStack
from tests.kit.serve_process import run, serving_process


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder that people and other programs use."""
    folder = tmp_path / "home"
    (folder / "public_html").mkdir(parents=True)
    (folder / "letter.txt").touch(mode=0o644)
    return folder


@pytest.mark.parametrize("named", [".", "home"])
async def test_a_home_folder_as_state_folder_keeps_its_mode_and_what_serve_puts_there_is_private(
    home: Path, named: str
) -> None:
    theirs = {path: mode(path) for path in (home, *home.rglob("*"))}
    assert theirs[home] == 0o755
    more = {"MIGCTL_STATE_DIR": "." if named == "." else str(home)}
    with serving_process(home, "--mode", "websocket", more=more) as serve:
        await serve.post(3)
        assert run(home, "status", more=more).returncode == 0
        ours = {path for path in home.rglob("*") if path not in theirs}
        ours.discard(home / "serve.log")  # the test's own
        assert {"serve.sock", "serve.json", "journal.db"} <= {path.name for path in ours}
        assert {mode(path) for path in ours if not path.is_dir()} == {0o600}
        assert {mode(path) for path in ours if path.is_dir()} <= {0o700}
        serve.stop()
    assert {path: mode(path) for path in theirs} == theirs


@pytest.mark.parametrize(
    "words", [("serve", "--mode", "websocket", "--listen", "127.0.0.1:0"), ("stack", "up")]
)
def test_a_state_folder_that_others_can_write_to_is_refused(home: Path, words: tuple[str, ...]) -> None:
    home.chmod(0o777)
    before = sorted(home.rglob("*"))
    refused = run(home, *words, more={"MIGCTL_STATE_DIR": str(home)})
    assert refused.returncode == 4, refused.stderr
    assert "other users can write to the state folder" in refused.stderr
    assert f"MIGCTL_STATE_DIR={home}/.migctl" in refused.stderr
    assert (mode(home), sorted(home.rglob("*"))) == (0o777, before)


def test_a_folder_called_stack_that_is_none_of_ours_is_left_alone(home: Path) -> None:
    folder = home / "stack"
    (folder / "postgres").mkdir(parents=True)
    (folder / "compose.yaml").touch(mode=0o644)
    before = {path: mode(path) for path in (folder, *folder.rglob("*"))}
    with pytest.raises(Refused, match=r"is no folder of a stack: compose\.yaml is in it"):
        EmbeddedStack(folder).start()
    assert {path: mode(path) for path in (folder, *folder.rglob("*"))} == before
