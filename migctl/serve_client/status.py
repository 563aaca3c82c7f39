"""What a `serve` says of itself, asked from outside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from migctl import __version__
from migctl.errors import TokenRefused
from migctl.serve_client.control import SOCKET, reached
from migctl.serve_client.errors import NotUnderstood
from migctl.serve_client.http import ServeHttp
from migctl.status import ServeStatus, read

PATH = "/api/status"


@dataclass(frozen=True, slots=True)
class Answered:
    """The status of a `serve`. text: as it came, with keys that only a later version knows."""

    status: ServeStatus
    text: bytes


async def status_of(folder: Path) -> Answered:
    """Of the `serve` of this state folder. Raises NotRunning, NotUnderstood."""
    async with reached(folder) as http:
        return await status_by(http, where=str(folder / SOCKET))


async def status_at(url: str, token: str | None) -> Answered:
    """Of the one at this address. Raises NotRunning, NotUnderstood, TokenRefused, and Usage where the address is wrong."""
    http = ServeHttp(url, token=token)
    try:
        return await status_by(http)
    finally:
        await http.aclose()


async def status_by(http: ServeHttp, *, where: str | None = None) -> Answered:
    """By a client that is there already. where: what was asked, for messages; None is its address."""
    answer = await http.get(PATH)
    where = where or answer.where
    if answer.status in (401, 403):
        raise TokenRefused(
            f"{where}: {answer.words()}", do="set MIGCTL_TOKEN to a token with purpose admin or subscribe"
        )
    if answer.status != 200:
        raise NotUnderstood(
            f"{where} answered {answer.status}, and that is no status of migctl",
            do="name another address with --url",
        )
    try:
        if not answer.whole:
            raise ValueError(f"it is above {len(answer.content)} bytes")
        return Answered(read(answer.content), answer.content)
    except ValueError as error:
        raise NotUnderstood(
            f"{where} answered what is no status that migctl {__version__} can read: {error}",
            do="name another address with --url; where a migctl of another version serves there, ask with that version",
        ) from None
