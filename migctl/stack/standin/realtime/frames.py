"""Phoenix messages to and from the wire, for protocol versions 1.0.0 and 2.0.0, and WebSocket frames made once for many. Pure.

A payload travels as its JSON text. What a client broadcasts is read and written again, as the real server does: integers stay
exact, fractions go through doubles, and a frame that its JSON reader refuses is dropped without an answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

Version = Literal["1.0.0", "2.0.0"]

_USER_PUSH = 3
_USER_BROADCAST = 4

_encode = msgspec.json.Encoder().encode
_any = msgspec.json.Decoder()


class BadFrame(Exception):
    """A frame that the real server drops, with no more than a line in its log."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a client sent. `payload` is JSON text; `user` is set for a broadcast that came as binary (protocol 2.0.0)."""

    topic: str
    event: str
    payload: bytes
    ref: str | None
    join_ref: str | None
    user: UserBroadcast | None = None


@dataclass(frozen=True, slots=True)
class UserBroadcast:
    """A broadcast whose payload is passed on unread. id: of the row that it is, where it comes from the database."""

    event: str
    payload: bytes
    is_json: bool
    id: str | None = None


class _V1(msgspec.Struct):
    topic: str
    event: str
    payload: msgspec.Raw = msgspec.Raw(b"{}")
    ref: str | int | None = None
    join_ref: str | int | None = None


_v1 = msgspec.json.Decoder(_V1)
_v2 = msgspec.json.Decoder(tuple[str | None, str | None, str, str, msgspec.Raw])


def decode(data: str | bytes, version: Version) -> Message:
    """Read one frame. Raises BadFrame."""
    try:
        if isinstance(data, bytes):
            return _decode_binary(data)
        if version == "1.0.0":
            v1 = _v1.decode(data)
            return Message(v1.topic, v1.event, bytes(v1.payload), _text(v1.ref), _text(v1.join_ref))
        join_ref, ref, topic, event, payload = _v2.decode(data)
        return Message(topic, event, bytes(payload), ref, join_ref)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, IndexError, ValueError) as error:
        raise BadFrame(str(error)) from None


def _text(ref: str | int | None) -> str | None:
    return None if ref is None else str(ref)


def _decode_binary(data: bytes) -> Message:
    if data[0] != _USER_PUSH:
        raise BadFrame(f"binary frames of kind {data[0]} are not known")
    sizes, encoding = data[1:6], data[6]
    at, parts = 7, []
    for size in sizes:
        parts.append(data[at : at + size].decode())
        at += size
    join_ref, ref, topic, event, _ = parts
    user = UserBroadcast(event, data[at:], encoding == 1)
    return Message(topic, "broadcast", b"{}", ref or None, join_ref or None, user)


def loads(payload: bytes) -> Any:
    """Raises BadFrame."""
    try:
        return _any.decode(payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise BadFrame(str(error)) from None


def dumps(value: Any) -> bytes:
    return _encode(value)


def respelled(payload: bytes) -> bytes:
    """A client's JSON as the real server passes it on: read, and written again. Raises BadFrame."""
    value = loads(payload)
    try:
        return _encode(value)
    except (UnicodeError, ValueError):
        return json.dumps(value, separators=(",", ":")).encode()


def message(
    version: Version,
    topic: str,
    event: str,
    payload: bytes,
    *,
    ref: str | None = None,
    join_ref: str | None = None,
) -> bytes:
    """The text of a message to a client."""
    if version == "1.0.0":
        return b'{"ref":%b,"topic":%b,"event":%b,"payload":%b}' % (
            _encode(ref),
            _encode(topic),
            _encode(event),
            payload,
        )
    return b"[%b,%b,%b,%b,%b]" % (_encode(join_ref), _encode(ref), _encode(topic), _encode(event), payload)


def reply(
    version: Version,
    topic: str,
    status: Literal["ok", "error"],
    response: bytes,
    *,
    ref: str | None,
    join_ref: str | None,
) -> bytes:
    """The text of a `phx_reply`."""
    payload = b'{"status":"%b","response":%b}' % (status.encode(), response)
    return message(version, topic, "phx_reply", payload, ref=ref, join_ref=join_ref)


def broadcast(event: str | None, payload: bytes, *, meta: Mapping[str, object] | None = None) -> bytes:
    """The payload of a broadcast that did not come from a socket."""
    more = b"" if meta is None else b',"meta":%b' % _encode(meta)
    return b'{"type":"broadcast","event":%b,"payload":%b%b}' % (_encode(event), payload, more)


def user_broadcast(topic: str, user: UserBroadcast, *, replayed: bool = False) -> bytes:
    """The binary form of a broadcast for clients of protocol 2.0.0."""
    meta = b"" if user.id is None else _encode({"id": user.id, **({"replayed": True} if replayed else {})})
    name, event = topic.encode(), user.event.encode()
    if len(name) > 255 or len(event) > 255:
        raise BadFrame("topic or event is longer than 255 bytes")
    head = bytes([_USER_BROADCAST, len(name), len(event), len(meta), int(user.is_json)])
    return head + name + event + meta + user.payload


def text_frame(data: bytes) -> bytes:
    """One unmasked WebSocket text frame."""
    return _frame(0x81, data)


def binary_frame(data: bytes) -> bytes:
    """One unmasked WebSocket binary frame."""
    return _frame(0x82, data)


def _frame(first: int, data: bytes) -> bytes:
    size = len(data)
    if size < 126:
        return bytes((first, size)) + data
    if size < 1 << 16:
        return bytes((first, 126)) + size.to_bytes(2, "big") + data
    return bytes((first, 127)) + size.to_bytes(8, "big") + data
