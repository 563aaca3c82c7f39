"""Channel: our own joined Phoenix channel, over which hints are pushed and acknowledged.

A channel is one socket, joined to one topic or to several. Once lost (closed, an error, or no acknowledgement for a second) it is
never used again; the owner opens a new one. The official client is for receiving: it would re-encode `data`, buffer what is pushed
while it is away, and let nobody know whether a broadcast was acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, InvalidURI, WebSocketException

from migctl import clock
from migctl.config.address import is_local
from migctl.errors import Systemic, Transient, first_error
from migctl.resilience import within
from migctl.target.tokens import RENEW_AT_SHARE, SENDER_TTL_S
from migctl.transports.realtime import frames

ACKNOWLEDGED_WITHIN_S = 1.0
HEARTBEAT_S = 25.0
OPEN_TIMEOUT_S = 5.0
# The server holds a refusal back for 5 s; a shorter patience would never hear the reason.
JOIN_TIMEOUT_S = 8.0
# A subscription to changes is there some seconds after the reply to the join; the server itself gives up after 10.
SUBSCRIBED_WITHIN_S = 15.0

_PREFIX = "realtime:"
_NEW_CHANNEL = "nothing: a new channel is opened"
TOO_FAST = "nothing: it goes on more slowly; if it stays so, see realtime.messages_per_second and expected_subscribers"

# A join that is refused for one of these is refused again, whoever asks.
_SYSTEMIC_REASONS = (
    "Unauthorized", "InvalidJWT", "MalformedJWT", "JwtSignatureError", "PrivateOnly", "TopicNameRequired", "TenantNotFound",
)  # fmt: skip
# Said when a channel is shut or a join refused for the plan's rates.
_RATE_REASONS = (
    "Too many messages per second", "ClientJoinRateLimitReached", "ChannelRateLimitReached", "ConnectionRateLimitReached",
)  # fmt: skip

Heard = Callable[[str, dict[str, object]], None]


@dataclass(frozen=True, slots=True)
class Changes:
    """What else a channel is to bring. of: schema and table. heard: gets the `data` of each change of it."""

    of: tuple[str, str]
    heard: Callable[[dict[str, object]], None]


class ChannelLost(Transient):
    """The channel is gone, with what was pushed and not acknowledged."""


class RateLimited(ChannelLost):
    """The server refuses, or has shut the channel, for too many messages or joins: coming back at once makes it worse."""


class Channel:
    """Joined, until it is lost. Made by `joined`."""

    def __init__(
        self, socket: ClientConnection, topics: Sequence[str], heard: Heard, changes: Changes | None = None
    ) -> None:
        self.acknowledged = 0
        self._changes = changes
        self._subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._name = topics[0]
        self._topics = frozenset(topics)
        self._socket = socket
        self._heard = heard
        self._ref = 0
        self._join_refs: dict[str, int] = {}
        self._join_replies: dict[str, asyncio.Future[None]] = {}
        # ref -> when it must be acknowledged, the oldest first. Bounded by the pace and by the second that each may take.
        self._waiting: dict[str, float] = {}
        self._pushed = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._last_error = ""

    async def push(self, topic: str, event: str, payload: bytes) -> None:
        """Send a broadcast, and return once it is on its way. Where no acknowledgement comes, the channel is lost.

        topic: one that was joined. payload: JSON. Raises ChannelLost.
        """
        await self._send(
            _PREFIX + topic, "broadcast", frames.broadcast_payload(event, payload), acknowledged=True
        )

    async def settled(self) -> None:
        """Return once all that was pushed is acknowledged, or never will be."""
        await self._quiet.wait()

    async def _send(self, topic: str, event: str, payload: bytes, *, acknowledged: bool = False) -> None:
        self._ref += 1
        ref = self._ref
        if acknowledged:
            self._waiting[str(ref)] = clock.mono() + ACKNOWLEDGED_WITHIN_S
            self._pushed.set()
            self._quiet.clear()
        join_ref = self._join_refs.get(topic)  # none for "phoenix", the socket's own topic
        try:
            await self._socket.send(
                frames.encode(topic, event, payload, ref=ref, join_ref=join_ref), text=True
            )
        except (WebSocketException, OSError) as error:
            raise self._lost(_words(error)) from error

    async def _join(self, topic: str, access_token: str) -> None:
        ref = self._join_refs[topic] = self._ref + 1
        reply = self._join_replies[str(ref)] = asyncio.get_running_loop().create_future()
        changes_of = None if self._changes is None else self._changes.of
        await self._send(topic, "phx_join", frames.join_payload(access_token, changes_of=changes_of))
        if not await within(JOIN_TIMEOUT_S, reply):
            raise self._lost(f"no reply to the join for {JOIN_TIMEOUT_S:.0f} s")
        # The reply is not readiness for changes; what is committed before the `system` message may never come.
        if self._changes is not None and not await within(SUBSCRIBED_WITHIN_S, self._subscribed):
            raise self._lost(f"no subscription to postgres_changes for {SUBSCRIBED_WITHIN_S:.0f} s")

    async def _read(self) -> None:
        try:
            async for text in self._socket:
                try:
                    frame = frames.decode(text)
                except ValueError:
                    raise self._lost(f"not a Phoenix frame: {text[:80]!r}") from None
                if frame.topic in self._topics:
                    self._take(frame)
        except (WebSocketException, OSError) as error:
            raise self._lost(_words(error)) from error
        raise self._lost(f"closed by the server ({self._socket.close_code})")

    def _take(self, frame: frames.Frame) -> None:
        if frame.event == "phx_reply":
            joining = self._join_replies.pop(frame.ref or "", None)
            if joining is not None:
                self._take_join_reply(frame, joining)
                return
            if self._waiting.pop(frame.ref or "", None) is None:
                return
            if frame.payload.get("status") != "ok":
                raise self._lost(f"a broadcast was refused: {_reason(frame)}")
            self.acknowledged += 1
            if not self._waiting:
                self._quiet.set()
        elif frame.event == "broadcast":
            payload = frame.payload.get("payload")
            self._heard(str(frame.payload.get("event")), payload if isinstance(payload, dict) else {})
        elif frame.event == "postgres_changes" and self._changes is not None:
            data = frame.payload.get("data")
            self._changes.heard(data if isinstance(data, dict) else {})
        elif self._changes is not None and is_of_changes(frame):
            self._take_subscription(frame)
        elif frame.event == "system" and frame.payload.get("status") == "error":
            self._last_error = str(frame.payload.get("message", ""))  # the reason; phx_close follows
        elif frame.event in ("phx_close", "phx_error"):
            raise self._lost(self._last_error or f"the server sent {frame.event}")

    def _take_subscription(self, frame: frames.Frame) -> None:
        if frame.payload.get("status") != "ok":  # the channel stays joined, and this is not tried again
            raise self._lost(f"no postgres_changes: {frame.payload.get('message')}")
        if not self._subscribed.done():
            self._subscribed.set_result(None)

    def _take_join_reply(self, frame: frames.Frame, joining: asyncio.Future[None]) -> None:
        if frame.payload.get("status") == "ok":
            if not joining.done():
                joining.set_result(None)
            return
        reason = _reason(frame)
        if reason.startswith(_SYSTEMIC_REASONS):
            raise Systemic(
                f"join {frame.topic}: {reason}",
                do="check SUPABASE_SERVICE_ROLE_KEY, and run `migctl schema verify` for the policies of realtime.messages",
            )
        raise self._lost(f"the join was refused: {reason}")

    async def _keep(self, token: Callable[[], str]) -> None:
        """Heartbeats, and a new token before the old one ends."""
        renew_at = clock.mono() + RENEW_AT_SHARE * SENDER_TTL_S
        while True:
            await self._send("phoenix", "heartbeat", b"{}")
            await asyncio.sleep(HEARTBEAT_S)
            if clock.mono() >= renew_at:
                renewed = frames.token_payload(token())
                for topic in self._topics:
                    await self._send(topic, "access_token", renewed)
                renew_at = clock.mono() + RENEW_AT_SHARE * SENDER_TTL_S

    async def _watch(self) -> None:
        """Lose the channel when something pushed is not acknowledged in time."""
        while True:
            await self._pushed.wait()
            if not self._waiting:
                self._pushed.clear()
                continue
            left = next(iter(self._waiting.values())) - clock.mono()
            if left <= 0:
                raise self._lost(f"no acknowledgement for {ACKNOWLEDGED_WITHIN_S:.0f} s")
            await asyncio.sleep(left)

    def _lost(self, why: str) -> ChannelLost:
        self._quiet.set()
        kind = RateLimited if any(reason in why for reason in _RATE_REASONS) else ChannelLost
        return kind(f"channel {self._name}: {why}", do=TOO_FAST if kind is RateLimited else _NEW_CHANNEL)


@asynccontextmanager
async def joined(
    supabase_url: str,
    *,
    apikey: str,
    topics: Sequence[str],
    token: Callable[[], str],
    heard: Heard = lambda event, payload: None,
    changes: Changes | None = None,
) -> AsyncIterator[Channel]:
    """A channel joined to private topics for the length of the block, which is cancelled when the channel is lost.

    topics: at least one, without `realtime:`; the first names it in errors. token: called for each joining and renewal.
    heard: gets event and payload of each broadcast that others send. changes: with one topic only; they come from the beginning of
    the block on. Raises ChannelLost, Transient, Systemic.
    """
    address = f"ws{supabase_url.removeprefix('http')}/realtime/v1/websocket"
    action = f"open a socket to {address}"
    try:
        socket = await connect(
            f"{address}?{urlencode({'apikey': apikey, 'vsn': '1.0.0'})}",
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=0.2,
            ping_interval=None,  # the acknowledgements show it sooner
            compression=None,
            proxy=None if is_local(supabase_url) else True,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        if status in (401, 403, 404):
            raise Systemic(
                f"{action}: HTTP {status}", do="check SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY"
            ) from error
        if status == 429:
            raise RateLimited(f"{action}: HTTP 429", do=TOO_FAST) from error
        raise Transient(f"{action}: HTTP {status}", do="nothing: it is tried again") from error
    except InvalidURI as error:
        raise Systemic(f"{action}: {error}", do="set SUPABASE_URL to the project's address") from error
    except (WebSocketException, OSError, TimeoutError) as error:
        raise Transient(f"{action}: {_words(error)}", do="nothing: it is tried again") from error

    name = topics[0]
    channel = Channel(socket, [_PREFIX + topic for topic in topics], heard, changes)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(channel._read(), name=f"{name} reader")]
            access_token = token()
            for topic in topics:
                await channel._join(_PREFIX + topic, access_token)
            tasks.append(group.create_task(channel._keep(token), name=f"{name} heartbeat"))
            tasks.append(group.create_task(channel._watch(), name=f"{name} watch"))
            yield channel
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as errors:
        # A task group that has an error forgets that somebody also wanted us to stop.
        owner = asyncio.current_task()
        if owner is not None and owner.cancelling():
            raise asyncio.CancelledError from errors
        raise first_error(errors) from errors
    finally:
        await socket.close()


def is_of_changes(frame: frames.Frame) -> bool:
    """Whether the server says how a subscription to changes fared."""
    return frame.event == "system" and frame.payload.get("extension") == "postgres_changes"


def _reason(frame: frames.Frame) -> str:
    response = frame.payload.get("response")
    reason = response.get("reason") if isinstance(response, dict) else response
    return str(reason or frame.payload)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
