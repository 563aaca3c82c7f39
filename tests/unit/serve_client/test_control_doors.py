"""The control socket: asked only where nobody else could have put it there."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from migctl.errors import Refused
from migctl.serve_client.control import SOCKET, announced, near, reached
from migctl.serve_client.errors import NotRunning
from tests.kit import needs
from tests.kit.other_user import NOBODY


def listening(folder: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(folder / SOCKET))
    made.listen()
    made.setblocking(False)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s").mkdir(mode=0o700)
    return tmp_path / "s"


async def asked(folder: Path) -> None:
    async with reached(folder, timeout_s=0.01) as http:
        await http.get("/api/status")


async def test_a_socket_in_a_folder_that_others_can_write_to_hears_nothing(folder: Path) -> None:
    with listening(folder) as trap:
        folder.chmod(0o777)
        with pytest.raises(Refused, match="other users can write to the state folder"):
            await asked(folder)
        with pytest.raises(BlockingIOError):
            trap.accept()


@needs.as_root
@pytest.mark.parametrize("given", ["folder", "socket"])
async def test_a_socket_of_somebody_else_or_in_their_folder_hears_nothing(folder: Path, given: str) -> None:
    with listening(folder) as trap:
        os.chown(folder if given == "folder" else folder / SOCKET, NOBODY, NOBODY)
        with pytest.raises(Refused, match=f"uid {NOBODY}"):
            await asked(folder)
        with pytest.raises(BlockingIOError):
            trap.accept()


async def test_a_link_to_a_socket_elsewhere_is_none_of_ours(folder: Path, tmp_path: Path) -> None:
    with listening(tmp_path) as trap:
        (folder / SOCKET).symlink_to(tmp_path / SOCKET)
        with pytest.raises(Refused, match="no socket of a serve of ours"):
            await asked(folder)
        with pytest.raises(BlockingIOError):
            trap.accept()


async def test_our_own_is_asked(folder: Path) -> None:
    with listening(folder) as ours:
        with pytest.raises(NotRunning, match="does not answer"):
            await asked(folder)
        ours.accept()[0].close()
        with near(folder) as path:
            assert path.endswith(SOCKET)


async def test_no_folder_and_no_socket_is_nobody(folder: Path, tmp_path: Path) -> None:
    for one in (folder, tmp_path / "nowhere"):
        with pytest.raises(NotRunning, match="no serve runs"):
            await asked(one)


def test_what_others_could_have_announced_is_refused(folder: Path) -> None:
    (folder / "serve.json").write_text("{}")
    (folder / "serve.json").chmod(0o666)
    with pytest.raises(Refused, match="another user could have written it"):
        announced(folder)
