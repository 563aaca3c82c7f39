"""Broadcasts that are rows of realtime.messages: which rows are one, and which a join may have again. Pure.

Of a row that was committed, the first line that is so. Whoever inserted it hears nothing of it in any case:

| it has | what becomes of it |
|---|---|
| no event, or no word whether it is private | lost |
| neither a payload nor a binary one | lost |
| a payload over the plan's size | lost |
| a good payload, while the plan's rate is exceeded | lost |
| a binary payload | a broadcast, to those who speak protocol 2.0.0 |
| a payload | a broadcast |

Its extension is not looked at. A replay is for private topics: the newest rows since a moment, 25 at most, and the oldest of them
first. What was before them is left out in silence, as is a binary one for protocol 1.0.0.
"""

from __future__ import annotations

from dataclasses import dataclass

from migctl.stack.standin.limits import Limits
from migctl.stack.standin.realtime import frames
from migctl.stack.standin.realtime.config import Replay
from migctl.stack.standin.realtime.frames import UserBroadcast, Version
from migctl.stack.standin.realtime.rules import Denied, is_too_large
from migctl.stack.standin.wal.pgoutput import Change

_MOST = 25
# The moments that a date of the real server can have.
_LAST_MS = 253_402_300_799_999


@dataclass(frozen=True, slots=True)
class Stored:
    """A row that is a broadcast."""

    topic: str
    private: bool
    broadcast: UserBroadcast


@dataclass(frozen=True, slots=True)
class Again:
    """A row that is replayed. payload: JSON text, where it is not binary."""

    id: str
    event: str | None
    payload: bytes | None
    binary: bytes | None


@dataclass(frozen=True, slots=True)
class Window:
    """since_ms: since 1970, UTC."""

    since_ms: int
    limit: int


def broadcast_of(change: Change, limits: Limits, *, over_rate: bool) -> Stored | None:
    """None for what is lost. over_rate: the plan's is exceeded."""
    if change.action != "INSERT" or change.new is None or over_rate:
        return None
    names = (column.name for column in change.relation.columns)
    row = {n: v for n, v in zip(names, change.new, strict=True) if isinstance(v, bytes)}
    payload, is_json = row.get("payload"), True
    if "binary_payload" in row:
        payload, is_json = bytes.fromhex(row["binary_payload"].decode().removeprefix("\\x")), False
    if payload is None or "event" not in row or "private" not in row or is_too_large(len(payload), limits):
        return None
    return Stored(
        row["topic"].decode(),
        row["private"] == b"t",
        UserBroadcast(row["event"].decode(), payload, is_json, id=row["id"].decode()),
    )


def window(asked: Replay | None, name: str, *, private: bool, may_read: bool | None) -> Window | None:
    """What a join wants again. may_read: broadcasts of this topic. Raises Denied."""
    if asked is None:
        return None
    if may_read is False:
        raise Denied("Unauthorized", f"You do not have permissions to read from this Channel topic: {name}")
    if not private:
        raise _refused("Replay is not allowed for public channels")
    if asked.params is None:
        return None
    since, limit = asked.params.get("since"), asked.params.get("limit")
    if limit is None or limit is False:
        limit = _MOST
    if type(since) is not int or type(limit) is not int or abs(since) > _LAST_MS:
        raise _refused("Replay params are not valid")
    return Window(since, max(min(limit, _MOST), 1))


def failed() -> Denied:
    return _refused("Realtime was unable to replay messages")


def frame_of(row: Again, version: Version, topic: str, join_ref: str | None) -> bytes | None:
    """The WebSocket frame of a row that is replayed. None where the protocol has none for it."""
    if row.binary is not None:
        if version == "1.0.0":
            return None
        again = UserBroadcast(row.event or "", row.binary, is_json=False, id=row.id)
        return frames.binary_frame(frames.user_broadcast(topic, again, replayed=True))
    payload = frames.respelled(row.payload or b"null")
    body = frames.broadcast(row.event, payload, meta={"replayed": True, "id": row.id})
    return frames.text_frame(frames.message(version, topic, "broadcast", body, join_ref=join_ref))


def _refused(message: str) -> Denied:
    return Denied("UnableToReplayMessages", message)
