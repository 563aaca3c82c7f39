"""The control socket: `serve.sock` in the state folder, HTTP for whoever may open the file, and the way commands find a `serve`.

It works with Supabase and Redis down, and asks for no token: the file is for its owner alone (0600). A socket that a killed process
left behind answers nobody, so its being there proves nothing.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from migctl import __version__
from migctl.config.address import is_loopback
from migctl.errors import Refused, Transient, Usage
from migctl.status import ServeStatus, read

NAME = "serve.sock"
ANNOUNCEMENT = "serve.json"
ANSWERS_WITHIN_S = 3.0


class NotRunning(Transient):
    """No `serve` answers: exit 3."""


class NotUnderstood(Transient):
    """Something answers, and not as a `serve` of this version does: exit 3."""


@contextmanager
def bound(folder: Path) -> Iterator[socket.socket]:
    """The listening end, for as long as the block lasts. Raises Refused where another `serve` answers there already."""
    folder.mkdir(parents=True, exist_ok=True)
    with _near(folder) as near:
        _clear(near, folder)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Before it has a name: nobody can come in between.
            os.fchmod(listening.fileno(), 0o600)
            listening.bind(near)
            ours = Path(near).stat().st_ino
        except BaseException:
            listening.close()
            raise
        listening.setblocking(False)
    try:
        yield listening
    finally:
        listening.close()
        with contextlib.suppress(OSError):
            if (folder / NAME).stat().st_ino == ours:
                (folder / NAME).unlink()


@contextmanager
def _near(folder: Path) -> Iterator[str]:
    """The socket's path by way of an open folder: a socket's address holds 107 bytes, and folders may be deeper."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{fd}/{NAME}"
    finally:
        os.close(fd)


def _clear(near: str, folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        try:
            knock.connect(near)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.ECONNREFUSED:
                raise Usage(
                    f"{folder / NAME}: {error.strerror}",
                    do="remove it, or name another folder: MIGCTL_STATE_DIR",
                ) from None
            Path(near).unlink(missing_ok=True)  # left behind by a process that was killed
            return
    raise Refused(
        f"another serve uses {folder}", do="stop it, or name another folder for this one: MIGCTL_STATE_DIR"
    )


@asynccontextmanager
async def reached(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the `serve` of this state folder, with all rights. Raises NotRunning, also from within the block."""
    if not folder.is_dir():
        raise _not_running(folder)
    with _near(folder) as near:
        transport = httpx.AsyncHTTPTransport(uds=near)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", timeout=ANSWERS_WITHIN_S
        ) as client:
            try:
                yield client
            except httpx.ConnectError:
                raise _not_running(folder) from None
            except httpx.TimeoutException:
                raise NotRunning(
                    f"serve{_which(folder)} does not answer within {ANSWERS_WITHIN_S:.0f} s",
                    do="see what holds it up (a stopped process, a disk that hangs), or end it and start it again",
                ) from None
            except httpx.TransportError as error:
                raise NotRunning(
                    f"serve{_which(folder)} went away while it was asked: {error}", do="ask again"
                ) from None


@dataclass(frozen=True, slots=True)
class Answered:
    """The status of a `serve`. text: as it came, with keys that only a later version knows."""

    status: ServeStatus
    text: bytes


async def status_of(folder: Path) -> Answered:
    """What the `serve` of this state folder says of itself. Raises NotRunning, NotUnderstood."""
    async with reached(folder) as client:
        return _answered(await client.get("/api/status"), f"{folder / NAME}")


async def status_at(url: str, token: str | None) -> Answered:
    """The same over HTTP, from anywhere. Raises NotRunning, NotUnderstood, and Usage where token or address is wrong."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        # A proxy of the environment is for the world, not for this machine.
        away = not is_loopback(httpx.URL(url).host)
        async with httpx.AsyncClient(timeout=ANSWERS_WITHIN_S, trust_env=away) as client:
            answer = await client.get(f"{url.rstrip('/')}/api/status", headers=headers)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise Usage(f"--url {url}: {error}", do="write http://HOST:PORT") from None
    except httpx.TransportError as error:
        raise NotRunning(
            f"nothing answers at {url}: {error or type(error).__name__}",
            do="start `migctl serve` there, or name another --url",
        ) from None
    if answer.status_code in (401, 403):
        raise Usage(
            f"{url} answered {answer.status_code}: {_reason(answer)}",
            do="set MIGCTL_TOKEN to a token with purpose admin",
        )
    return _answered(answer, str(answer.url))


def _reason(answer: httpx.Response) -> str:
    """Of a refusal; a stranger's may be anything."""
    try:
        return msgspec.json.decode(answer.content, type=_Refusal).errors[0].reason
    except (ValueError, IndexError):
        return answer.reason_phrase


class _Error(msgspec.Struct):
    reason: str


class _Refusal(msgspec.Struct):
    errors: list[_Error]


def _answered(answer: httpx.Response, where: str) -> Answered:
    if answer.status_code != 200:
        raise NotUnderstood(
            f"{where} answered {answer.status_code}, and that is no status of migctl",
            do="name another address with --url",
        )
    try:
        return Answered(read(answer.content), answer.content)
    except ValueError as error:
        raise NotUnderstood(
            f"{where} answered what is no status that migctl {__version__} can read: {error}",
            do="name another address with --url; where a migctl of another version serves there, ask with that version",
        ) from None


def _not_running(folder: Path) -> NotRunning:
    if _announced(folder) is None:
        return NotRunning(
            f"no serve runs in {folder}",
            do="start one: `migctl serve`; or ask elsewhere: MIGCTL_STATE_DIR, or --url",
        )
    return NotRunning(
        f"serve{_which(folder)} is gone, and did not end by itself: it was killed, or it crashed",
        do="start it again: `migctl serve`; what it acknowledged is in the journal",
    )


def _which(folder: Path) -> str:
    said = _announced(folder)
    return f" (pid {said.get('pid')}, started {said.get('started_at')}, at {said.get('url')})" if said else ""


def _announced(folder: Path) -> dict[str, Any] | None:
    try:
        value = json.loads((folder / ANNOUNCEMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
