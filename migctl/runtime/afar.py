"""Afar: a `serve` elsewhere, asked over HTTP with a token: its status, its rollout, and moves that stop it."""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from migctl.errors import MigctlError, TokenRefused
from migctl.rollout.report import RolloutStatus
from migctl.serve_client import Answer, ServeHttp
from migctl.serve_client.control import understood
from migctl.serve_client.errors import NotUnderstood
from migctl.serve_client.status import Answered, status_by
from migctl.server.routes.rollout_api import ROLLOUT, Order

# A move reaches the processes and the record, each of which has its own second.
MOVES_WITHIN_S = 30.0


T = TypeVar("T")


class _Processes(msgspec.Struct):
    known: int
    confirmed: list[object] = []


class _Wrong(msgspec.Struct):
    what: str
    do: str


class Moved(msgspec.Struct):
    """What is read of the answer to a move."""

    target: str
    command: str
    processes: _Processes | None = None
    wrong: _Wrong | None = None
    state_unmoved: str | None = None


class Afar:
    """`aclose` it. Raises NotRunning, NotUnderstood, TokenRefused, and what the other side refused with."""

    def __init__(self, url: str, token: str | None) -> None:
        self._http = ServeHttp(url, token=token)
        self._slow = ServeHttp(url, token=token, timeout_s=MOVES_WITHIN_S)

    async def status(self) -> Answered:
        return await status_by(self._http)

    async def rollout(self) -> RolloutStatus:
        return await rollout_by(self._http)

    async def move(self, action: Literal["pause", "abort"], reason: str) -> str:
        """Stop the rollout there. Returns in a line what became of it."""
        order = Order(action, reason=reason)
        headers = {"Content-Type": "application/json"}
        found = _understood(await self._slow.post(ROLLOUT, msgspec.json.encode(order), headers), Moved)
        return line_of(found)

    async def aclose(self) -> None:
        await self._http.aclose()
        await self._slow.aclose()


async def rollout_by(http: ServeHttp) -> RolloutStatus:
    """Where the rollout of this `serve` stands, as it says itself. Raises NotRunning, NotUnderstood, TokenRefused."""
    return _understood(await http.get(ROLLOUT), RolloutStatus)


def line_of(of: Moved) -> str:
    """What became of a move. Pure."""
    parts = [f"{of.command} on {of.target}: done"]
    if of.processes is not None and of.processes.known:
        parts.append(f"{len(of.processes.confirmed)} of {of.processes.known} processes confirmed")
    if of.state_unmoved is not None:
        parts.append(of.state_unmoved)
    if of.wrong is not None:
        parts += [of.wrong.what, of.wrong.do]
    return "; ".join(parts)


def _understood(answer: Answer, shape: type[T]) -> T:
    if answer.status in (401, 403):
        raise TokenRefused(
            f"{answer.where}: {answer.words()}", do="set MIGCTL_TOKEN to a token with purpose admin"
        )
    lacking: MigctlError = NotUnderstood(
        f"{answer.where}: this serve has no rollout: it runs in mode websocket, or is of another version",
        do="ask one that runs in mode dual or realtime",
    )
    return understood(answer, shape, lacking=lacking)
