"""What the real server lets a client do, and in which words it refuses. Pure: times and what was found out are arguments.

A message that came, by its topic and event, and whether that topic is joined:

| topic | event | joined | what becomes of it |
|---|---|---|---|
| phoenix | heartbeat | - | answered |
| phoenix | any other | - | nothing |
| realtime:... | phx_join | either | a join; one that is there already is closed before |
| any other | phx_join | either | as any other event |
| any | phx_leave | no | answered |
| any | phx_leave | yes | answered, and the channel is closed |
| any | any other | no | answered: unmatched topic |
| any | any other | yes, and no `join_ref`, or its own | the channel's |
| any | any other | yes, with the `join_ref` of an earlier join | nothing |

A join, the first that is so; each refusal is answered after a while, and the second one closes the socket too:

| it has | refused with |
|---|---|
| no name after `realtime:` | TopicNameRequired |
| joins over the rate | ClientJoinRateLimitReached |
| a socket with as many channels as it may have | ChannelRateLimitReached |
| a token that is not good | InvalidJWTToken, JwtSignatureError, JwtSignerError, MalformedJWT |
| no database behind it | UnableToConnectToProject |
| a private topic, and no partition of today | MissingPartition |
| a private topic, and may read neither broadcasts nor presence | Unauthorized |
| a wish for a replay that can't be | Unauthorized, UnableToReplayMessages (`stored`) |

A broadcast:

| may write | size | acknowledgement asked | what becomes of it |
|---|---|---|---|
| no | any | either | nothing: the sender hears nothing |
| yes | over the plan's | no | nothing |
| yes | over the plan's | yes | refused: payload_size_exceeded |
| yes | up to the plan's | no | delivered |
| yes | up to the plan's | yes | delivered, and acknowledged if the channel outlives it |

A renewed token: one that is no text, a publishable key or the one that is known already says nothing. Any other is checked, and
the channel ends where it is not good, or where something may not be read any more that could be read before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from migctl.stack.standin.auth import BadToken, Flaw
from migctl.stack.standin.faults import CLOSED_BECAUSE
from migctl.stack.standin.limits import Limits
from migctl.stack.standin.realtime.config import Join
from migctl.stack.standin.realtime.frames import Message

Extension = Literal["broadcast", "presence"]
Fate = Literal["answer", "nothing", "join", "leave", "unmatched", "handle"]
Sent = Literal["nothing", "refuse", "deliver"]
PresenceCall = Literal["track", "not-a-map", "untrack", "unknown"]

PREFIX = "realtime:"
# The real server checks a token at the latest every five minutes, and when it expires.
CONFIRM_S = 300
NOT_READY = "Replication connection was not established in time"
TOO_MANY_CALLS = "Client presence rate limit exceeded"
TRACK_TOO_LARGE = "Track message size exceeded"
_NO_CLAIMS = "Fields `role` and `exp` are required in JWT"
_NO_JWT = "The token provided is not a valid JWT"
_NO_SIGNATURE = "Failed to validate JWT signature"


class Denied(Exception):
    """A refusal. `code: message` is what a join is answered; `message` alone is what ends a channel.

    closes: the socket goes too.
    """

    def __init__(self, code: str, message: str, *, closes: bool = False) -> None:
        super().__init__(f"{code}: {message}")
        self.message = message
        self.closes = closes


@dataclass(slots=True)
class Policies:
    """What was found out. None: not asked yet."""

    broadcast_read: bool | None = None
    broadcast_write: bool | None = None
    presence_read: bool | None = None
    presence_write: bool | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Of an upgrade: the HTTP status and what it says."""

    status: int
    error: str


# The socket


def refused_upgrade(bad: BadToken | None, sockets: int, limits: Limits) -> Refusal | None:
    """bad: the key that came with the request, where it is. sockets: that are open."""
    if bad is not None:
        words: dict[Flaw, str] = {
            "expired": "Token has expired",
            "claims": _NO_CLAIMS,
            "malformed": _NO_JWT,
            "signature": _NO_SIGNATURE,
            "signer": no_signer(bad.kid),
            "not_yet": _NO_JWT,
        }
        return Refusal(401, words[bad.flaw])
    return Refusal(429, "Too many connected users") if sockets >= limits.plan.users else None


def fate(message: Message, joined: bool, join_ref: str | None) -> Fate:
    """What becomes of a message. joined: its topic; join_ref: of that join."""
    if message.topic == "phoenix":
        return "answer" if message.event == "heartbeat" else "nothing"
    if message.event == "phx_join" and message.topic.startswith(PREFIX):
        return "join"
    if message.event == "phx_leave":
        return "leave"
    if not joined:
        return "unmatched"
    return "handle" if message.join_ref is None or message.join_ref == join_ref else "nothing"


def reads_too_slowly(waiting_bytes: int, limits: Limits) -> bool:
    """A client that lets more than this wait is cut off: nobody waits for anybody."""
    return waiting_bytes > limits.socket_queue_bytes


# The join


def refused_join(name: str, *, flooded: bool, channels: int, limits: Limits) -> Denied | None:
    """name: without `realtime:`. flooded: joins are over the rate. channels: of its socket."""
    if not name:
        return Denied("TopicNameRequired", "You must provide a topic name")
    if flooded:
        return Denied("ClientJoinRateLimitReached", "Too many joins per second", closes=True)
    if channels >= limits.channels_per_client:
        return Denied("ChannelRateLimitReached", "Too many channels")
    return None


def counts_as_join(name: str, *, flooded: bool) -> bool:
    """Whether a join is one more towards the rate: those that the rate itself refuses, and those without a name, are not."""
    return bool(name) and not flooded


def token_of(asked: Join, socket_token: str) -> str:
    """Publishable keys are no JWTs; the key of the socket stands for them, and where the join brought none."""
    token = asked.access_token
    return token if token is not None and not token.startswith("sb_") else socket_token


def no_signer(kid: str | None) -> str:
    key = "" if kid is None else f" for key ID (kid) {json.dumps(kid, ensure_ascii=False)}"
    return f"Failed to generate JWT signer{key}, check your JWT secret or JWKS configuration"


def refused_token(error: BadToken) -> Denied:
    match error.flaw:
        case "expired":
            return Denied("InvalidJWTToken", f"Token has expired {error.expired_s} seconds ago")
        case "claims":
            return Denied("InvalidJWTToken", _NO_CLAIMS)
        case "signature":
            return Denied("JwtSignatureError", _NO_SIGNATURE)
        case "signer":
            return Denied("JwtSignerError", no_signer(error.kid))
    return Denied("MalformedJWT", _NO_JWT)


def no_database() -> Denied:
    return Denied("UnableToConnectToProject", CLOSED_BECAUSE)


def no_partition() -> Denied:
    return Denied("MissingPartition", "Realtime was unable to find the expected messages partition")


def to_read(presence: bool) -> tuple[Extension, ...]:
    """What is asked of the policies of a private topic. presence: the channel has it enabled."""
    return ("broadcast", "presence") if presence else ("broadcast",)


def refused_reading(name: str, policies: Policies) -> Denied | None:
    if policies.broadcast_read or policies.presence_read:
        return None
    return Denied("Unauthorized", f"You do not have permissions to read from this Channel topic: {name}")


# The life of a channel


def confirm_after_s(exp: float, now: float) -> float:
    """When the token is checked again."""
    return max(0.0, min(CONFIRM_S, exp - now))


def renewal(payload: object, known: str) -> str | None:
    """The token that an `access_token` message brings, where it says anything."""
    token = payload.get("access_token") if isinstance(payload, dict) else None
    return token if isinstance(token, str) and not token.startswith("sb_") and token != known else None


def refused_renewal(name: str, before: Policies | None, now: Policies | None) -> Denied | None:
    """None where nothing may be read no more. before, now: None for a public channel."""
    if before is None or now is None:
        return None
    if (before.broadcast_read is True and now.broadcast_read is False) or (
        before.presence_read is True and now.presence_read is False
    ):
        return Denied(
            "Unauthorized", f"You no longer have permission to read from this Channel topic: {name}"
        )
    return None


def sent(may_write: bool, size_bytes: int, *, ack: bool, limits: Limits) -> Sent:
    """What becomes of a broadcast. The real server is silent where it may not be sent, even if an answer was asked for."""
    if not may_write:
        return "nothing"
    if is_too_large(size_bytes, limits):
        return "refuse" if ack else "nothing"
    return "deliver"


def is_too_large(size_bytes: int, limits: Limits) -> bool:
    return size_bytes > limits.plan.broadcast_bytes


def presence_call(payload: object) -> PresenceCall:
    """What a `presence` message asks for. `track` has a `payload` that is an object."""
    asked = payload if isinstance(payload, dict) else {}
    match str(asked.get("event", "")).lower():
        case "track":
            return "track" if isinstance(asked.get("payload"), dict) else "not-a-map"
        case "untrack":
            return "untrack"
    return "unknown"
