"""What a join asks for, read as forgivingly as the real server reads it. Pure."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Binding:
    """One postgres_changes binding: what the client asked, echoed with an id that is never 0."""

    id: int
    asked: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Replay:
    """A wish for broadcasts of before. params: None where they are no object."""

    params: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Join:
    """The config of a channel. access_token: None where the join brought none.

    replication_ready: it wants to hear when broadcasts from the database will reach it.
    """

    private: bool
    ack: bool
    to_self: bool
    presence: bool
    presence_key: str
    replay: Replay | None
    replication_ready: bool
    bindings: tuple[Binding, ...]
    access_token: str | None


def parse(payload: Any) -> Join:
    """What can't be read counts as not asked for; the real server logs it and goes on."""
    body = payload if isinstance(payload, dict) else {}
    config = _dict(body.get("config"))
    broadcast, presence = _dict(config.get("broadcast")), _dict(config.get("presence"))
    asked = config.get("postgres_changes")
    token = body.get("access_token") or body.get("user_token")
    key = presence.get("key")
    return Join(
        private=_flag(config.get("private")),
        ack=_flag(broadcast.get("ack")),
        to_self=_flag(broadcast.get("self")),
        presence=_flag(presence.get("enabled")),
        presence_key=key if isinstance(key, str) else "",
        replay=_replay(broadcast),
        replication_ready=broadcast.get("replication_ready") not in (None, False),
        bindings=tuple(
            Binding(_id(item), item)
            for item in (asked if isinstance(asked, list) else ())
            if isinstance(item, dict)
        ),
        access_token=token if isinstance(token, str) else None,
    )


def _replay(broadcast: dict[str, Any]) -> Replay | None:
    if "replay" not in broadcast:
        return None
    params = broadcast["replay"]
    return Replay(params if isinstance(params, dict) else None)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _flag(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _id(asked: dict[str, Any]) -> int:
    # A hash of what was asked, as on the real server: the same binding has the same id in each channel.
    return zlib.crc32(json.dumps(asked, sort_keys=True).encode()) & 0x7FFFFFF or 1
