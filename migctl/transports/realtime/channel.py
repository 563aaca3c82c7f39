"""Channel: our own joined Phoenix channel, over which hints are pushed and acknowledged.

A channel is one socket and one join. Once lost (closed, an error, or no acknowledgement for a second) it is never used again;
the owner opens a new one. The official client is for receiving: it would re-encode `data`, buffer what is pushed while it is away,
and tell nobody whether a broadcast was acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, InvalidURI, WebSocketException

from migctl import clock
from migctl.errors import MigctlError, Systemic, Transient
from migctl.transports.realtime import frames
from migctl.transports.realtime.rest import is_loopback
from migctl.transports.realtime.tokens import RENEW_AT_SHARE, SENDER_TTL_S

ACKNOWLEDGED_WITHIN_S = 1.0
HEARTBEAT_S = 25.0
OPEN_TIMEOUT_S = 5.0
# The server holds a refusal back for 5 s; a shorter patience would never hear the reason.
JOIN_TIMEOUT_S = 8.0

# A join that is refused for one of these is refused again, whoever asks.
_SYSTEMIC_REASONS = (
    "Unauthorized", "InvalidJWT", "MalformedJWT", "JwtSignatureError", "PrivateOnly", "TopicNameRequired", "TenantNotFound",
)  # fmt: skip


class ChannelLost(Transient):
    """The channel is gone, with what was pushed and not acknowledged."""


class Channel:
    """Joined, until it is lost. Made by `joined`."""

    def __init__(self, socket: ClientConnection, topic: str) -> None:
        self.topic = topic
        self.acknowledged = 0
        self._socket = socket
        self._ref = 0
        self._join_ref: int | None = None
        self._join_reply: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # ref -> when it must be acknowledged, the oldest first. Bounded by the pace and by the second that each may take.
        self._waiting: dict[str, float] = {}
        self._pushed = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._last_error = ""

    async def push(self, event: str, payload: bytes) -> None:
        """Send a broadcast, and return once it is on its way. That no acknowledgement comes is told by losing the channel.

        payload: JSON. Raises ChannelLost.
        """
        await self._send("broadcast", frames.broadcast_payload(event, payload), acknowledged=True)

    async def settled(self) -> None:
        """Return once all that was pushed is acknowledged."""
        await self._quiet.wait()

    async def _send(self, event: str, payload: bytes, *, acknowledged: bool = False) -> int:
        self._ref += 1
        ref = self._ref
        if acknowledged:
            self._waiting[str(ref)] = clock.mono() + ACKNOWLEDGED_WITHIN_S
            self._pushed.set()
            self._quiet.clear()
        topic, join_ref = (self.topic, self._join_ref or ref) if event != "heartbeat" else ("phoenix", None)
        try:
            await self._socket.send(
                frames.encode(topic, event, payload, ref=ref, join_ref=join_ref), text=True
            )
        except (WebSocketException, OSError) as error:
            raise self._lost(_words(error)) from error
        return ref

    async def _join(self, access_token: str) -> None:
        self._join_ref = self._ref + 1
        await self._send("phx_join", frames.join_payload(access_token))
        try:
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                await self._join_reply
        except TimeoutError:
            raise self._lost(f"no reply to the join for {JOIN_TIMEOUT_S:.0f} s") from None

    async def _read(self) -> None:
        try:
            async for text in self._socket:
                try:
                    frame = frames.decode(text)
                except ValueError:
                    raise self._lost(f"not a Phoenix frame: {text[:80]!r}") from None
                if frame.topic == self.topic:
                    self._take(frame)
        except (WebSocketException, OSError) as error:
            raise self._lost(_words(error)) from error
        raise self._lost(f"closed by the server ({self._socket.close_code})")

    def _take(self, frame: frames.Frame) -> None:
        if frame.event == "phx_reply":
            if frame.ref == str(self._join_ref):
                self._take_join_reply(frame)
                return
            if self._waiting.pop(frame.ref or "", None) is None:
                return
            if frame.payload.get("status") != "ok":
                raise self._lost(f"a broadcast was refused: {_reason(frame)}")
            self.acknowledged += 1
            if not self._waiting:
                self._quiet.set()
        elif frame.event == "system" and frame.payload.get("status") == "error":
            self._last_error = str(frame.payload.get("message", ""))  # the reason; phx_close follows
        elif frame.event in ("phx_close", "phx_error"):
            raise self._lost(self._last_error or f"the server sent {frame.event}")

    def _take_join_reply(self, frame: frames.Frame) -> None:
        if frame.payload.get("status") == "ok":
            if not self._join_reply.done():
                self._join_reply.set_result(None)
            return
        reason = _reason(frame)
        if reason.startswith(_SYSTEMIC_REASONS):
            raise Systemic(
                f"join {self.topic}: {reason}",
                do="check SUPABASE_SERVICE_ROLE_KEY, and run `migctl schema verify` for the policies of realtime.messages",
            )
        raise self._lost(f"the join was refused: {reason}")

    async def _keep(self, token: Callable[[], str]) -> None:
        """Heartbeats, and a new token before the old one ends."""
        renew_at = clock.mono() + RENEW_AT_SHARE * SENDER_TTL_S
        while True:
            await self._send("heartbeat", b"{}")
            await asyncio.sleep(HEARTBEAT_S)
            if clock.mono() >= renew_at:
                await self._send("access_token", frames.token_payload(token()))
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
        return ChannelLost(f"channel {self.topic}: {why}", do="nothing: a new channel is opened")


@asynccontextmanager
async def joined(
    supabase_url: str, *, apikey: str, topic: str, token: Callable[[], str]
) -> AsyncIterator[Channel]:
    """A joined private channel for the length of the block, which is cancelled when the channel is lost.

    topic: without `realtime:`. token: called for each join and renewal. Raises ChannelLost, Transient, Systemic.
    """
    address = f"ws{supabase_url.removeprefix('http')}/realtime/v1/websocket"
    action = f"open a socket to {address}"
    try:
        socket = await connect(
            f"{address}?{urlencode({'apikey': apikey, 'vsn': '1.0.0'})}",
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=0.2,
            ping_interval=None,  # the acknowledgements tell sooner
            compression=None,
            proxy=None if is_loopback(supabase_url) else True,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        if status in (401, 403, 404):
            raise Systemic(
                f"{action}: HTTP {status}", do="check SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY"
            ) from error
        raise Transient(f"{action}: HTTP {status}", do="nothing: it is tried again") from error
    except InvalidURI as error:
        raise Systemic(f"{action}: {error}", do="set SUPABASE_URL to the project's address") from error
    except (WebSocketException, OSError, TimeoutError) as error:
        raise Transient(f"{action}: {_words(error)}", do="nothing: it is tried again") from error

    channel = Channel(socket, f"realtime:{topic}")
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(channel._read(), name=f"{topic} reader")]
            await channel._join(token())
            tasks.append(group.create_task(channel._keep(token), name=f"{topic} heartbeat"))
            tasks.append(group.create_task(channel._watch(), name=f"{topic} watch"))
            yield channel
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as errors:
        # A task group that has an error to tell forgets that somebody also wanted us to stop.
        owner = asyncio.current_task()
        if owner is not None and owner.cancelling():
            raise asyncio.CancelledError from errors
        raise _first(errors) from errors
    finally:
        await socket.close()


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """A bug before an error of ours: it must not be taken for a lost channel."""
    leaves = list(_leaves(errors))
    return next((leaf for leaf in leaves if not isinstance(leaf, MigctlError)), leaves[0])


def _leaves(errors: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in errors.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found


def _reason(frame: frames.Frame) -> str:
    response = frame.payload.get("response")
    reason = response.get("reason") if isinstance(response, dict) else response
    return str(reason or frame.payload)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
