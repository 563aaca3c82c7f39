"""Exchange: what was sent on a channel and is not answered yet, and what the server's frames mean for it. Pure: takes the time.

| the server says | of | so it is |
|---|---|---|
| anything | a topic that is not ours | nothing |
| phx_reply ok | a join of ours | joined |
| phx_reply, other | a join, for a reason that holds for whoever asks | Systemic |
| phx_reply, other | a join, for another reason | lost |
| phx_reply ok | a broadcast that waits | acknowledged; settled with the last one |
| phx_reply, other | a broadcast that waits | lost |
| phx_reply | anything else (a heartbeat, a token) | nothing |
| broadcast | - | a broadcast; what is no object counts as an empty one |
| postgres_changes | changes were asked for | a change |
| postgres_changes | they were not | nothing |
| system of postgres_changes, ok | changes were asked for | subscribed |
| system of postgres_changes, other | changes were asked for | lost: the server does not try it again |
| system, error | - | the reason of the end that follows |
| phx_close, phx_error | - | lost, for that reason |
| anything else | - | nothing |

Lost for a rate of the plan is RateLimited, whatever said it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from migctl.errors import Systemic, Transient
from migctl.target.errors import in_words
from migctl.transports.realtime import frames

ACKNOWLEDGED_WITHIN_S = 1.0

TOO_FAST = "nothing: it goes on more slowly; if it stays so, see realtime.messages_per_second and expected_subscribers"
_NEW_CHANNEL = "nothing: a new channel is opened"

# A join that is refused for one of these is refused again, whoever asks.
_SYSTEMIC_REASONS = (
    "Unauthorized", "InvalidJWT", "MalformedJWT", "JwtSignatureError", "PrivateOnly", "TopicNameRequired", "TenantNotFound",
)  # fmt: skip
# Said when a channel is shut or a join refused for the plan's rates.
_RATE_REASONS = (
    "Too many messages per second", "ClientJoinRateLimitReached", "ChannelRateLimitReached", "ConnectionRateLimitReached",
)  # fmt: skip


class ChannelLost(Transient):
    """The channel is gone, with what was pushed and not acknowledged."""


class RateLimited(ChannelLost):
    """The server refuses, or has shut the channel, for too many messages or joins: coming back at once makes it worse."""


@dataclass(frozen=True, slots=True)
class Joined:
    topic: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """To the changes of the database: they come from here on."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """settled: nothing waits any more."""

    settled: bool


@dataclass(frozen=True, slots=True)
class Broadcast:
    event: str
    payload: dict[str, object]


@dataclass(frozen=True, slots=True)
class Change:
    data: dict[str, object]


Meaning = Joined | Subscribed | Acknowledged | Broadcast | Change | None


class Exchange:
    """topics: with `realtime:`; the first names the channel in errors. changes: they are asked for."""

    def __init__(self, topics: Sequence[str], *, changes: bool = False) -> None:
        self.acknowledged = 0
        self._name = topics[0]
        self._topics = frozenset(topics)
        self._changes = changes
        self._ref = 0
        self._join_refs: dict[str, int] = {}
        self._joining: dict[str, str] = {}  # ref -> topic
        # ref -> when it must be acknowledged, the oldest first. Bounded by the pace and by the second that each may take.
        self._waiting: dict[str, float] = {}
        self._last_error = ""

    def sends(self, topic: str) -> tuple[int, int | None]:
        """The ref of the next frame, and that of its topic's join: none for `phoenix`, the socket's own topic."""
        self._ref += 1
        return self._ref, self._join_refs.get(topic)

    def joins(self, topic: str) -> tuple[int, int]:
        self._ref += 1
        self._join_refs[topic] = self._ref
        self._joining[str(self._ref)] = topic
        return self._ref, self._ref

    def pushes(self, topic: str, now: float) -> tuple[int, int | None]:
        """As `sends`, and an acknowledgement is waited for. now: monotonic."""
        refs = self.sends(topic)
        self._waiting[str(refs[0])] = now + ACKNOWLEDGED_WITHIN_S
        return refs

    def left_s(self, now: float) -> float | None:
        """How long the oldest that waits may take; None where nothing waits. Raises ChannelLost where it is over."""
        if not self._waiting:
            return None
        left = next(iter(self._waiting.values())) - now
        if left <= 0:
            raise self.lost(f"no acknowledgement for {ACKNOWLEDGED_WITHIN_S:.0f} s")
        return left

    def hears(self, frame: frames.Frame) -> Meaning:
        """Raises ChannelLost, RateLimited, Systemic."""
        if frame.topic not in self._topics:
            return None
        if frame.event == "phx_reply":
            return self._reply(frame)
        if frame.event == "broadcast":
            payload = frame.payload.get("payload")
            event = frame.payload.get("event")
            return Broadcast(
                event if isinstance(event, str) else "", payload if isinstance(payload, dict) else {}
            )
        if self._changes and frame.event == "postgres_changes":
            data = frame.payload.get("data")
            return Change(data if isinstance(data, dict) else {})
        if self._changes and is_of_changes(frame):
            if frame.payload.get("status") != "ok":  # the channel stays joined, and this is not tried again
                raise self.lost(f"no postgres_changes: {in_words(frame.payload.get('message'))}")
            return Subscribed()
        if frame.event == "system" and frame.payload.get("status") == "error":
            self._last_error = in_words(frame.payload.get("message", ""))  # the reason; phx_close follows
        elif frame.event in ("phx_close", "phx_error"):
            raise self.lost(self._last_error or f"the server sent {frame.event}")
        return None

    def _reply(self, frame: frames.Frame) -> Meaning:
        ref, good = frame.ref or "", frame.payload.get("status") == "ok"
        joining = self._joining.pop(ref, None)
        if joining is not None:
            if good:
                return Joined(joining)
            reason = _reason(frame)
            if reason.startswith(_SYSTEMIC_REASONS):
                raise Systemic(
                    f"join {joining}: {reason}",
                    do="check SUPABASE_SECRET_KEY (or SUPABASE_SERVICE_ROLE_KEY), and run `migctl schema verify` for "
                    "the policies of realtime.messages",
                )
            raise self.lost(f"the join was refused: {reason}")
        if self._waiting.pop(ref, None) is None:
            return None
        if not good:
            raise self.lost(f"a broadcast was refused: {_reason(frame)}")
        self.acknowledged += 1
        return Acknowledged(settled=not self._waiting)

    def lost(self, why: str) -> ChannelLost:
        kind = RateLimited if any(reason in why for reason in _RATE_REASONS) else ChannelLost
        return kind(f"channel {self._name}: {why}", do=TOO_FAST if kind is RateLimited else _NEW_CHANNEL)


def refused_upgrade(action: str, status: int) -> Systemic | Transient:
    """What an HTTP status instead of a socket comes to."""
    if status in (401, 403, 404):
        return Systemic(
            f"{action}: HTTP {status}",
            do="check SUPABASE_URL and SUPABASE_SECRET_KEY (or SUPABASE_SERVICE_ROLE_KEY)",
        )
    if status == 429:
        return RateLimited(f"{action}: HTTP 429", do=TOO_FAST)
    return Transient(f"{action}: HTTP {status}", do="nothing: it is tried again")


def is_of_changes(frame: frames.Frame) -> bool:
    """Whether the server says how a subscription to changes fared."""
    return frame.event == "system" and frame.payload.get("extension") == "postgres_changes"


def _reason(frame: frames.Frame) -> str:
    response = frame.payload.get("response")
    reason = response.get("reason") if isinstance(response, dict) else response
    return in_words(reason or frame.payload)
