"""Where a v2 subscriber begins: from its own position, or from the head and why. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from migctl.events import Position
from migctl.status import TransportName
from migctl.transports.websocket.frames import SUBPROTOCOL

Role = Literal["subscriber", "standby"]


# As long as `GET /api/transport` takes.
MAX_USER_CHARS = 255


class BadRequest(ValueError):
    """A query of a v2 socket that can't be meant. `field` names the parameter."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Wish:
    """What a v2 client asked for in its address. position: the last it has; None for a fresh start.

    user: whom it is for; None takes no assignment. assigned: the transport that it was told so far; None where it does not say.
    fallback: it is here because Realtime, which it is assigned, has failed. witness: it only watches, and is no subscriber.
    """

    role: Role = "subscriber"
    position: Position | None = None
    user: str | None = None
    assigned: TransportName | None = None
    fallback: bool = False
    witness: bool = False


NO_WISH = Wish()


@dataclass(frozen=True, slots=True)
class Start:
    """The answer: frames with seq > after follow."""

    resume: Literal["fresh", "recovered", "unrecoverable"]
    reason: Literal["trimmed", "epoch", "ahead"] | None
    after: int


def subprotocols_in(headers: Sequence[str]) -> list[str]:
    """What `Sec-WebSocket-Protocol` offers; several of it are one with commas (RFC 6455, 11.3.4)."""
    return [part for header in headers for part in (text.strip() for text in header.split(",")) if part]


def opts_in(query: Mapping[str, str], subprotocols: Sequence[str]) -> bool:
    """True where a client asks for v2; else it speaks the old service's protocol."""
    return query.get("v") == "2" or SUBPROTOCOL in subprotocols


def position_in(query: Mapping[str, str]) -> Position | None:
    """`epoch` and `after` of a query, or None where neither is there. Raises BadRequest."""
    epoch, after = query.get("epoch"), query.get("after")
    if epoch is None and after is None:
        return None
    if not epoch:
        raise BadRequest("epoch", "is missing; a position is epoch and after together")
    if after is None:
        raise BadRequest("after", "is missing; a position is epoch and after together")
    return Position(epoch, seq_in("after", after))


def seq_in(field: str, text: str) -> int:
    """A whole number from 0 on. Raises BadRequest."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadRequest(field, f"expected a whole number from 0 on, got {text[:40]!r}")
    return int(text)


def wish_in(query: Mapping[str, str]) -> Wish:
    """Read the query of a v2 socket. Raises BadRequest."""
    role = query.get("role", "subscriber")
    if role not in ("subscriber", "standby"):
        raise BadRequest("role", f"expected subscriber or standby, got {role[:40]!r}")
    user = query.get("user")
    if user is not None and not 0 < len(user) <= MAX_USER_CHARS:
        raise BadRequest("user", f"expected 1 to {MAX_USER_CHARS} characters")
    return Wish(
        "standby" if role == "standby" else "subscriber",
        position_in(query),
        user,
        _assigned_in(query),
        fallback=query.get("fallback") == "1",
        witness=query.get("client") == "witness",
    )


def _assigned_in(query: Mapping[str, str]) -> TransportName | None:
    assigned = query.get("assigned")
    if assigned is None:
        return None
    if assigned == "websocket":
        return "websocket"
    if assigned == "realtime":
        return "realtime"
    raise BadRequest("assigned", f"expected websocket or realtime, got {assigned[:40]!r}")


def begin(position: Position | None, *, epoch: str, head: int, tail: int) -> Start:
    """Decide. Recovered only within the epoch, and only where everything after the position is still held."""
    if position is None:
        return Start("fresh", None, head)
    if position.epoch != epoch:
        return Start("unrecoverable", "epoch", head)
    if position.seq > head:
        return Start("unrecoverable", "ahead", head)
    if position.seq < tail - 1:
        return Start("unrecoverable", "trimmed", head)
    return Start("recovered", None, position.seq)
