"""A subscriber that is too slow: what waits for it at the gateway grows until it is closed, and what it saw of that itself."""

from __future__ import annotations

import contextlib
import time
from typing import Annotated

import msgspec
from pydantic import Field

from migctl.drills.document import Section
from migctl.drills.functions.odd import OfSize, publish, sized
from migctl.drills.functions.registry import action, probe
from migctl.drills.world.deployment import Deployment, NotReady


class OfQueue(OfSize):
    most: Annotated[int, Field(ge=1, description="events at most, at least 1")] = 100
    per_s: Annotated[float, Field(gt=0, description="events a second, above 0")] = 10.0
    code: Annotated[int, Field(ge=1000, le=4999, description="the close code that is awaited")] = 4408


class OfCode(Section):
    code: Annotated[int, Field(ge=1000, le=4999, description="a close code, such as 4408")]


class OfGoodbye(OfCode):
    process: Annotated[str, Field(min_length=1, description="a subscriber's name, such as whole:websocket-1")]


class _Logged(msgspec.Struct):
    reason: str


@action("fill-queue", OfQueue)
def fill_queue(on: Deployment, of: OfQueue) -> str:
    """Large events are published until the gateway closes a socket with 4408, since it does not keep up."""
    before = _closed(on, of.code)
    for count in range(1, of.most + 1):
        due = time.monotonic() + 1 / of.per_s
        publish(on, sized(of.bytes))
        if (_closed(on, of.code) or 0) > (before or 0):
            return f"{count} events of {of.bytes:,} bytes until a socket was closed with {of.code}"
        time.sleep(max(0.0, due - time.monotonic()))
    raise NotReady(f"{of.most} events of {of.bytes:,} bytes closed no socket with {of.code}")


@probe("sockets-closed", OfCode)
def sockets_closed(on: Deployment, of: OfCode) -> int | None:
    """How many sockets the gateway has closed with this code; None while serve is away."""
    return _closed(on, of.code)


@probe("goodbyes-received", OfGoodbye)
def goodbyes_received(on: Deployment, of: OfGoodbye) -> int:
    """How often a subscriber was told this code when its socket was closed, as its own log says."""
    if of.process not in on.subscribers:
        raise NotReady(f"there is no subscriber {of.process!r}: {', '.join(on.subscribers)}")
    return goodbyes(on.subscribers[of.process].child.log.read_bytes(), of.code)


def goodbyes(log: bytes, code: int) -> int:
    """Lines of a log that tell of a socket which the other side closed with this code. Pure."""
    count = 0
    for line in log.splitlines():
        with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):
            count += f"received {code} " in msgspec.json.decode(line, type=_Logged).reason
    return count


def _closed(on: Deployment, code: int) -> int | None:
    status = on.status()
    gateway = status.transports.websocket if status is not None else None
    if gateway is None:
        return None
    return gateway.closed_by_code.get(code, 0) + gateway.closing_by_code.get(code, 0)
