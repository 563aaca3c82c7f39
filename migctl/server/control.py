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
from pathlib import Path
from typing import Any

import httpx

from migctl.config.address import is_loopback
from migctl.errors import Refused, Transient, Usage

NAME = "serve.sock"
ANNOUNCEMENT = "serve.json"
ANSWERS_WITHIN_S = 3.0


class NotRunning(Transient):
    """No `serve` answers: exit 3."""


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


async def status_of(folder: Path) -> dict[str, Any]:
    """What the `serve` of this state folder says of itself. Raises NotRunning."""
    async with reached(folder) as client:
        return _document(await client.get("/api/status"))


async def status_at(url: str, token: str | None) -> dict[str, Any]:
    """The same over HTTP, from anywhere. Raises NotRunning, and Usage where the token or the address is wrong."""
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
        reason = answer.json()["errors"][0]["reason"]
        raise Usage(
            f"{url} answered {answer.status_code}: {reason}",
            do="set MIGCTL_TOKEN to a token with purpose admin",
        )
    return _document(answer)


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        value = answer.json() if answer.status_code == 200 else None
    except ValueError:
        value = None
    if not isinstance(value, dict) or not str(value.get("schema", "")).startswith("migctl.status/"):
        raise NotRunning(
            f"{answer.url} answered {answer.status_code}, and that is no status of migctl",
            do="name another address with --url",
        )
    return value


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
