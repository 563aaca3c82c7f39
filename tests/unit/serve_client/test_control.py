"""The `serve` of a state folder: reached by its socket, and what is said where none answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from migctl.errors import Refused
from migctl.serve_client import NotRunning, NotUnderstood
from migctl.serve_client.control import ANNOUNCEMENT, SOCKET, Announced, announced, reached, unanswered
from migctl.serve_client.status import status_by, status_of
from migctl.server.control import bound
from tests.kit.statuses import FOLDER

KNOWN = (FOLDER / "everything.json").read_bytes()
ANNOUNCED = Announced(pid=7, url="http://127.0.0.1:1", mode="dual", started_at="2026-01-31T12:00:00Z")


@contextlib.asynccontextmanager
async def answering(folder: Path, answer: bytes, status: int = 200) -> AsyncIterator[None]:
    """Whatever is asked over the folder's control socket gets this body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            head = b"HTTP/1.1 %d .\r\nContent-Length: %d\r\n\r\n" % (status, len(answer))
            writer.write(head + answer)
        writer.close()

    with bound(folder) as listening:
        async with await asyncio.start_unix_server(serve, sock=listening):
            yield


async def test_status_comes_over_a_socket_that_is_its_owners_alone_in_a_folder_that_is_too(
    tmp_path: Path,
) -> None:
    folder = tmp_path / ("deep" * 20) / ("deeper" * 20)  # beyond what a socket's address holds
    async with answering(folder, KNOWN):
        assert stat.S_IMODE((folder / SOCKET).stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        answered = await status_of(folder)
    assert answered.text == KNOWN
    assert answered.status.schema == "migctl.status/1"
    assert not (folder / SOCKET).exists()


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"schema":"migctl.status/1"}', b"<html>"])
async def test_what_is_no_status_is_said_to_be_none(tmp_path: Path, answer: bytes) -> None:
    async with answering(tmp_path, answer):
        with pytest.raises(NotUnderstood, match="is no status that migctl"):
            await status_of(tmp_path)


async def test_second_serve_of_a_folder_is_refused_and_a_socket_left_behind_is_not_in_the_way(
    tmp_path: Path,
) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / SOCKET))
    with bound(tmp_path) as listening:
        listening.listen()
        with pytest.raises(Refused, match="another serve uses"), bound(tmp_path):
            pass


async def test_folder_where_nothing_ever_ran(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path, tmp_path / "none", tmp_path / "file"):
        with pytest.raises(NotRunning, match="no serve runs in"):
            await status_of(folder)


async def test_serve_that_was_killed_is_known_by_what_it_left(tmp_path: Path) -> None:
    (tmp_path / ANNOUNCEMENT).write_bytes(msgspec.json.encode(ANNOUNCED))
    with pytest.raises(NotRunning, match=r"serve \(pid 7, .*\) is gone, and did not end by itself"):
        await status_of(tmp_path)


async def test_serve_that_hangs_is_told_from_one_that_is_gone(tmp_path: Path) -> None:
    with bound(tmp_path) as listening:
        listening.listen()  # the kernel takes the connection, and nobody answers
        with pytest.raises(NotRunning, match="does not answer within 0 s"):
            async with reached(tmp_path, timeout_s=0.1) as http:
                await status_by(http)


@pytest.mark.parametrize(
    ("known", "error", "said"),
    [
        (False, None, "no serve runs in"),
        (False, httpx.ConnectError("refused"), "no serve runs in"),
        (True, httpx.ConnectError("refused"), "is gone"),
        (False, httpx.ReadTimeout(""), "serve does not answer within 3 s"),
        (True, TimeoutError(), "pid 7.*does not answer within 3 s"),
        (False, httpx.RemoteProtocolError("closed"), "went away while it was asked: closed"),
        (True, httpx.RemoteProtocolError("closed"), "pid 7.*went away while it was asked: closed"),
    ],
)
def test_each_silence_has_its_own_words(
    tmp_path: Path, known: bool, error: Exception | None, said: str
) -> None:
    if known:
        (tmp_path / ANNOUNCEMENT).write_bytes(msgspec.json.encode(ANNOUNCED))
    with pytest.raises(NotRunning, match=said):
        raise unanswered(tmp_path, error, 3.0)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"pid":"x"}', b"\xff"])
def test_announcement_that_is_none_is_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ANNOUNCEMENT).write_bytes(content)
    assert announced(tmp_path) is None
