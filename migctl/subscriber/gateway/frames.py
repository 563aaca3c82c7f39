"""Frames of the v2 WebSocket, read. Pure.

An event has `id` and `seq`; what has none is control: hello, heartbeat, caught up, fallback, assignment.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from migctl.events.arrived import Arrived
from migctl.events.jsontext import loads, split_object, typed
from migctl.events.times import parse_time
from migctl.subscriber.core.assigned import Answer
from migctl.subscriber.core.release import Release, Via
from migctl.transports.wire import GATEWAY_HEARTBEAT_S

_KEYS = ("type", "data", "timestamp", "id", "seq", "source", "committed_at", "clock", "source_id")


class Frame(msgspec.Struct):
    """A frame as it came; `data` is still text."""

    type: str
    data: msgspec.Raw
    timestamp: str
    id: str | None = None
    seq: int | None = None
    source: str | None = None
    committed_at: str | None = None
    clock: str | None = None
    source_id: str | None = None

    def release(self, epoch: str, via: Via, arrived: Arrived) -> Release:
        """The event. Raises ValueError for a frame that is none: it has no id or no seq."""
        if self.id is None or self.seq is None:
            raise ValueError(f"{self.type}: expected an event, with id and seq")
        return Release(
            id=self.id,
            epoch=epoch,
            seq=self.seq,
            event_type=self.type,
            timestamp=self.timestamp,
            source=self.source or "",
            data=bytes(self.data),
            committed_at=self.committed_at,
            via=via,
            received_at=arrived.at,
            received_mono_ns=arrived.mono_ns,
            transport="websocket",
            clock=self.clock,
            source_id=self.source_id,
        )


class Hello(msgspec.Struct, frozen=True):
    """The gateway's first word: where the journal stands, and what became of the position we gave.

    heartbeat_s: how often it says `sys.hb`; an older gateway does not say it, and does so every 5 s. assigns: it says
    `sys.assignment` over this socket. asks: it answers `wire.ASK` with a `sys.hb`. at: when it said so, by its clock.
    """

    v: int
    epoch: str
    head: int
    tail: int
    resume: Literal["fresh", "recovered", "unrecoverable"]
    reason: str | None = None
    heartbeat_s: Annotated[float, msgspec.Meta(gt=0)] = GATEWAY_HEARTBEAT_S
    assigns: bool = False
    asks: bool = False
    at: datetime | None = None


class Heartbeat(msgspec.Struct, frozen=True):
    """`sys.hb`."""

    epoch: str
    head: int


class Redirect(msgspec.Struct, frozen=True):
    """`sys.fallback`: where subscribers are to go.

    spread_s: within this time, at random, where they go back; None where the server leaves it to them.
    """

    to: Literal["websocket", "realtime"]
    reason: str = ""
    spread_s: Annotated[float, msgspec.Meta(ge=0)] | None = None


_decoder = msgspec.json.Decoder(Frame)
_hello = msgspec.json.Decoder(Hello)
_heartbeat = msgspec.json.Decoder(Heartbeat)
_redirect = msgspec.json.Decoder(Redirect)
_answer = msgspec.json.Decoder(Answer)


def read_frame(text: bytes) -> Frame:
    """Raises ValueError where it is no v2 frame."""
    try:
        return _decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _slowly(text)


def _slowly(text: bytes) -> Frame:
    """The same for a text that holds a lone surrogate, which is JSON all the same."""
    members = split_object(text)
    values: dict[str, Any] = {
        key: msgspec.Raw(members[key]) if key == "data" else loads(members[key])
        for key in _KEYS
        if key in members
    }
    if not {"type", "data", "timestamp"} <= values.keys():
        raise ValueError("expected type, data and timestamp")
    return msgspec.convert(values, Frame)


def read_hello(text: bytes) -> Hello | None:
    """None where it is no hello of a gateway that speaks v2."""
    try:
        frame = read_frame(text)
        if frame.type != "sys.hello":
            return None
        hello = typed(_hello, frame.data)
    except ValueError:
        return None
    with contextlib.suppress(ValueError):  # without its time it is a hello all the same
        return msgspec.structs.replace(hello, at=parse_time(frame.timestamp))
    return hello


def read_heartbeat(frame: Frame) -> Heartbeat | None:
    """None where the frame is something else, or not understood."""
    try:
        return typed(_heartbeat, frame.data) if frame.type == "sys.hb" else None
    except ValueError:
        return None


def read_redirect(frame: Frame) -> Redirect | None:
    """None where the frame is something else, or not understood."""
    try:
        return typed(_redirect, frame.data) if frame.type == "sys.fallback" else None
    except ValueError:
        return None


def read_assignment(frame: Frame) -> Answer | None:
    """None where the frame is something else, or not understood."""
    try:
        return typed(_answer, frame.data) if frame.type == "sys.assignment" else None
    except ValueError:
        return None
