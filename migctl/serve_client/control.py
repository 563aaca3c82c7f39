"""The `serve` of a state folder, by its control socket: `serve.sock`, beside `serve.json`, which says who listens where.

It works with Supabase and Redis down, and asks for no token: the file is for its owner alone. A socket that a killed process left
behind answers nobody, so its being there proves nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec

from migctl.config import Mode
from migctl.config.files import read_own, refuse_shared
from migctl.errors import MigctlError, Refused, Transient, Usage
from migctl.events.jsontext import read_as
from migctl.serve_client.answers import Answer
from migctl.serve_client.errors import NotRunning, NotUnderstood
from migctl.serve_client.http import ServeHttp

SOCKET = "serve.sock"
ANNOUNCEMENT = "serve.json"
ANSWERS_WITHIN_S = 3.0

T = TypeVar("T")


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """The document `serve.json`: of the `serve` that runs in this state folder, or of one that was killed there."""

    schema: str = "migctl.serve/1"
    pid: int
    url: str
    mode: Mode
    started_at: str


def announced(folder: Path) -> Announced | None:
    """None where nothing is announced that can be read. Raises Refused where others could have written it."""
    try:
        return read_as(read_own(folder / ANNOUNCEMENT), Announced)
    except (OSError, ValueError):
        return None


@contextmanager
def near(folder: Path) -> Iterator[str]:
    """The socket's path by way of an open folder: a socket's address holds 107 bytes, and folders may be deeper.

    Raises OSError, and Refused where somebody else could have put a socket there.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        refuse_shared(folder, os.fstat(fd))
        with suppress(FileNotFoundError):
            _refuse_foreign(folder / SOCKET, os.stat(SOCKET, dir_fd=fd, follow_symlinks=False))
        yield f"/proc/self/fd/{fd}/{SOCKET}"
    finally:
        os.close(fd)


def _refuse_foreign(path: Path, found: os.stat_result) -> None:
    """A socket of before the folder was its owner's alone; root may take any name, and is trusted."""
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid not in (os.geteuid(), 0):
        raise Refused(
            f"{path}: this is no socket of a serve of ours (uid {found.st_uid})",
            do="see who made it, and remove it; then start serve again",
        )


@asynccontextmanager
async def reached(folder: Path, *, timeout_s: float = ANSWERS_WITHIN_S) -> AsyncIterator[ServeHttp]:
    """A client of the `serve` of this state folder, with all rights.

    Raises NotRunning, also from within the block, Usage where the folder can't be opened, and Refused where it, or the socket in
    it, is not ours alone: whoever made that would be told what is meant for `serve`, and be believed.
    """
    if not folder.is_dir():
        raise unanswered(folder, None, timeout_s)
    async with AsyncExitStack() as stack:
        try:
            path = stack.enter_context(near(folder))
        except OSError as error:
            raise Usage(
                f"{folder}: {error.strerror or error}",
                do="ask as the user whom it belongs to, or name another: MIGCTL_STATE_DIR",
            ) from None
        http = ServeHttp(
            "http://localhost",
            timeout_s=timeout_s,
            # As for an address of http: no certificate is read.
            transport=httpx.AsyncHTTPTransport(uds=path, verify=False),
            explain=lambda error: unanswered(folder, error, timeout_s),
        )
        stack.push_async_callback(http.aclose)
        yield http


def understood(answer: Answer, shape: type[T], *, lacking: MigctlError) -> T:
    """What it answered. lacking: raised where it has no such route. Raises what it refused with, Transient, NotUnderstood."""
    if answer.status == 404:
        raise lacking
    if answer.status != 200:
        raise answer.failure() or Transient(f"serve: {answer.words()}", do="see the log of serve")
    try:
        return answer.decode(shape)
    except ValueError as error:
        raise NotUnderstood(
            f"{answer.where}: {error}", do="start serve again with this version of migctl"
        ) from None


def unanswered(folder: Path, error: Exception | None, timeout_s: float) -> NotRunning:
    """Why the `serve` of this folder does not answer. error: what asking it came to; None where there is not even a folder."""
    known = announced(folder)
    if error is None or (known is None and isinstance(error, httpx.ConnectError)):
        return NotRunning(
            f"no serve runs in {folder}",
            do="start one: `migctl serve`; or ask elsewhere: MIGCTL_STATE_DIR, or --url",
        )
    which = f" (pid {known.pid}, started {known.started_at}, at {known.url})" if known is not None else ""
    if isinstance(error, httpx.ConnectError):
        return NotRunning(
            f"serve{which} is gone, and did not end by itself: it was killed, or it crashed",
            do="start it again: `migctl serve`; what it acknowledged is in the journal",
        )
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return NotRunning(
            f"serve{which} does not answer within {timeout_s:.0f} s",
            do="see what holds it up (a stopped process, a disk that hangs), or end it and start it again",
        )
    return NotRunning(f"serve{which} went away while it was asked: {error}", do="ask again")
