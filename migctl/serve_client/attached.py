"""Who feeds a `serve`, and who reads from it, asked from outside: by the control socket of the folder, or at an address."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from migctl.errors import TokenRefused
from migctl.serve_client.control import reached, understood
from migctl.serve_client.errors import NotUnderstood
from migctl.serve_client.http import ServeHttp
from migctl.status.feeding import SourcesStatus
from migctl.status.subscribers import SubscribersStatus

T = TypeVar("T")


async def sources_of(folder: Path, url: str | None, token: str | None) -> SourcesStatus:
    """url: None is the `serve` of this state folder. Raises NotRunning, NotUnderstood, Usage."""
    return await _asked("/admin/sources", SourcesStatus, folder, url, token)


async def subscribers_of(folder: Path, url: str | None, token: str | None) -> SubscribersStatus:
    """The same. A `serve` without a gateway raises NotUnderstood."""
    return await _asked("/admin/subscribers", SubscribersStatus, folder, url, token)


async def _asked(path: str, shape: type[T], folder: Path, url: str | None, token: str | None) -> T:
    if url is None:
        async with reached(folder) as http:
            return await _by(http, path, shape)
    http = ServeHttp(url, token=token)
    try:
        return await _by(http, path, shape)
    finally:
        await http.aclose()


async def _by(http: ServeHttp, path: str, shape: type[T]) -> T:
    answer = await http.get(path)
    if answer.status in (401, 403):
        raise TokenRefused(
            f"{answer.where}: {answer.words()}", do="set MIGCTL_TOKEN to a token with purpose admin"
        )
    lacking = NotUnderstood(
        f"{answer.where} has no {path}: it is of another version, or runs in mode realtime, which has no WebSocket",
        do="see which: `migctl status`",
    )
    return understood(answer, shape, lacking=lacking)
