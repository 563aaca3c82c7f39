"""The official Realtime client, with what we have to change of it in one place.

Changed: how it connects. Upstream leaves the socket's `max_size` at 1 MiB, and a larger frame closes the socket, is lost, and comes
again for ever; and nobody could say when a frame came. Everything else is upstream's: frames, validation, channels. Who gives
`take` gets the text of each frame before upstream does, and what it takes upstream never gets: upstream validates a frame against
nine models, and spells it out for logs that nobody reads.
`tests/unit/subscriber/test_official.py` fails if the method that is overridden here changes upstream.

Upstream's own coming back is switched off (it is 2.5 s late and gives up after five tries): a Link is one life of one client, and
whoever wants another makes another.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from contextvars import ContextVar
from math import ceil
from typing import Any

from realtime import AsyncRealtimeChannel, AsyncRealtimeClient, RealtimeSubscribeStates
from realtime.message import Message
from realtime.types import (
    BroadcastPayload,
    ChannelEvents,
    PostgresChangesPayload,
    RealtimePostgresChangesListenEvent,
)
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException

from migctl import clock
from migctl.config.address import is_local
from migctl.errors import MigctlError, Systemic, Transient
from migctl.events.arrived import Arrived
from migctl.redaction import beginning
from migctl.resilience import RequestTimeout, staggered
from migctl.transports.dialing import Straight
from migctl.transports.wire import MAX_FRAME_BYTES

CLOSE_S = 1.0
OPEN_S = 10.0
# After so long another socket is tried beside the one that does not open; longer where it takes longer here.
LEAST_OPEN_S = 1.5
# The server holds a refusal back for 5 s, and readiness for changes for longer.
JOIN_S = 10.0

# The topic of what is between two sockets, and of no channel: its answers prove the line.
_PHOENIX = "phoenix"
_MOST_ANSWER = 500

# Refusals of a join that no second try changes.
_DENIED = (
    "Unauthorized",
    "InvalidJWT",
    "MalformedJWT",
    "JwtSignatureError",
    "PrivateOnly",
    "TopicNameRequired",
)


UPSTREAM_LOGGERS = tuple(
    f"realtime._async.{name}" for name in ("channel", "client", "presence", "push", "timer")
)
# True in the tasks of a Link.
_ours: ContextVar[bool] = ContextVar("migctl_link", default=False)


def _of_others(_: logging.LogRecord) -> bool:
    """What upstream logs of a frame that it drops, and of a socket that it loses, is logged by us, with the position.

    A client that the application has for itself logs as it did.
    """
    return not _ours.get()


# Gets the text of a frame, and when it came; True where it has taken it.
Take = Callable[[str, Arrived], bool]


class _Stamped(ClientConnection):
    """A socket that remembers when the last frame left it.

    take: what upstream is not to read. answered: called with each answer to a heartbeat.
    """

    arrived = Arrived(clock.now(), clock.mono_ns())
    take: Take | None = None
    answered: Callable[[], None] = staticmethod(lambda: None)

    async def recv(self, decode: bool | None = None) -> Any:
        while True:
            message = await super().recv(decode)
            self.arrived = Arrived(clock.now(), clock.mono_ns())
            if self.take is None or not isinstance(message, str) or not self.take(message, self.arrived):
                if _is_answer(message):
                    self.answered()
                return message


def _is_answer(message: Any) -> bool:
    """To a heartbeat of ours."""
    if not isinstance(message, str) or len(message) > _MOST_ANSWER or f'"{_PHOENIX}"' not in message:
        return False
    with contextlib.suppress(ValueError, RecursionError):
        frame = json.loads(message)
        return isinstance(frame, dict) and frame.get("topic") == _PHOENIX
    return False


class _Client(AsyncRealtimeClient):
    """apart_s: after so long another socket is tried."""

    apart_s = LEAST_OPEN_S
    take: Take | None = None
    answered: Callable[[], None] = staticmethod(lambda: None)

    async def connect(self) -> None:
        """Upstream's `connect` for a client that tries once: the same socket, with our bounds and stamps."""
        url = self.endpoint_url()

        async def open_socket() -> ClientConnection:
            return await Straight(
                url,
                open_timeout=None,
                close_timeout=CLOSE_S,
                max_size=MAX_FRAME_BYTES,
                compression=None if is_local(url) else "deflate",
                create_connection=_Stamped,
            )

        socket = await staggered(
            open_socket, apart_s=self.apart_s, most_s=OPEN_S, drop=lambda late: late.transport.abort()
        )
        if isinstance(socket, _Stamped):
            socket.take = self.take
            socket.answered = self.answered
        self._ws_connection = socket
        await self._on_connect()

    @property
    def arrived(self) -> Arrived:
        """When the frame that is being handled left the socket."""
        socket = self._ws_connection
        return socket.arrived if isinstance(socket, _Stamped) else Arrived(clock.now(), clock.mono_ns())

    def cut(self) -> None:
        """End the socket without a word: there is nobody who would answer its closing."""
        if self._ws_connection is not None:
            self._ws_connection.transport.abort()

    @property
    def listening(self) -> asyncio.Task[Any] | None:
        return self._listen_task


class Link:
    """One joined channel on one client of its own, until it is lost.

    Callbacks run in the client's listen task: they must be quick and must not raise.
    take: gets each frame before the client does. answered: called with each answer to `ask`. opening: how long sockets took to
    open, of who makes one Link after another.
    """

    def __init__(
        self,
        supabase_url: str,
        anon_key: str,
        topic: str,
        *,
        take: Take | None = None,
        answered: Callable[[], None] = lambda: None,
        opening: RequestTimeout | None = None,
    ) -> None:
        for name in UPSTREAM_LOGGERS:
            logging.getLogger(name).addFilter(_of_others)
        self._address = supabase_url
        self._client = _Client(
            f"{supabase_url}/realtime/v1",
            token=anon_key,
            auto_reconnect=False,
            max_retries=1,
            timeout=ceil(JOIN_S),
        )
        self._client.take = take
        self._client.answered = answered
        self._opening = opening or open_timeout()
        self._is_dead = False
        self._channel: AsyncRealtimeChannel = self._client.channel(
            topic,
            {
                "config": {
                    "broadcast": {"ack": False, "self": False},
                    "presence": {"key": "", "enabled": False},
                    "private": True,
                }
            },
        )
        self._lost: asyncio.Future[MigctlError] = asyncio.get_running_loop().create_future()

    def on_broadcast(self, event: str, callback: Callable[[dict[str, Any], Arrived], None]) -> None:
        """callback: gets the payload, and when its frame came."""

        def received(payload: BroadcastPayload) -> None:
            callback(payload["payload"], self._client.arrived)

        self._channel.on_broadcast(event, received)

    def on_insert(self, schema: str, table: str, callback: Callable[[dict[str, Any], Arrived], None]) -> None:
        """callback: gets the `data` of the change, and when its frame came."""

        def received(payload: PostgresChangesPayload) -> None:
            callback(dict(payload["data"]), self._client.arrived)

        self._channel.on_postgres_changes(
            RealtimePostgresChangesListenEvent.Insert, received, table=table, schema=schema
        )

    async def join(self, token: str, *, wait_for_system: bool = False) -> None:
        """Connect and join. Returns when the server said that it is ready.

        wait_for_system: the reply to the join is not readiness for postgres_changes; its `system` message is.
        Raises Transient, or Systemic where it was denied.
        """
        _ours.set(True)  # for our task, and for those that the client makes of it
        self._client.access_token = token
        answer: asyncio.Future[MigctlError | None] = asyncio.get_running_loop().create_future()
        ready = asyncio.Event()
        self._channel.on_system(
            lambda message: ready.set() if message.extension == "postgres_changes" else None
        )

        def answered(state: RealtimeSubscribeStates, error: Exception | None) -> None:
            refusal = None if state is RealtimeSubscribeStates.SUBSCRIBED else self._refusal(state, error)
            if not answer.done():
                answer.set_result(refusal)
            if refusal is not None:
                self._lose(refusal)

        try:
            await self._open()
            async with asyncio.timeout(JOIN_S):
                listening = self._client.listening
                if listening is not None:
                    listening.add_done_callback(self._listener_ended)
                await self._channel.subscribe(answered)
                refusal = await answer
                if refusal is None and wait_for_system:
                    await self._first(ready)
        except (OSError, TimeoutError, WebSocketException) as error:
            self._is_dead = isinstance(error, TimeoutError)
            raise self._unreachable(error) from error
        if refusal is not None:
            raise refusal

    async def _open(self) -> None:
        began = clock.mono()
        self._client.apart_s = self._opening.seconds()
        await self._client.connect()
        self._opening.answered(clock.mono() - began)

    async def renew(self, token: str) -> None:
        """Give the server a newer token, before it closes the channel for the old one."""
        await self._client.set_auth(token)

    async def ask(self) -> None:
        """Ask the server for an answer, as the protocol's heartbeat does. What is wrong with the socket ends this life anyway."""
        with contextlib.suppress(OSError, WebSocketException):
            await self._client.send(
                Message(topic=_PHOENIX, event=ChannelEvents.heartbeat, payload={}, ref=None)
            )

    async def lost(self) -> MigctlError:
        """Wait until this life is over; what ended it."""
        return await asyncio.shield(self._lost)

    def give_up(self, reason: str) -> None:
        """Declare it over: nothing has come for too long."""
        self._is_dead = True
        self._lose(Transient(f"{self._address}: {reason}", do="nothing: a new connection is made"))

    async def close(self) -> None:
        """End it for good; upstream would join again on its own otherwise."""
        self._channel.rejoin_timer.reset()
        self._channel.join_push.destroy()
        if self._is_dead:
            self._client.cut()
        with contextlib.suppress(OSError, TimeoutError, WebSocketException):
            async with asyncio.timeout(CLOSE_S + 1):
                await self._client.close()

    async def _first(self, ready: asyncio.Event) -> None:
        """Wait for readiness or loss, whichever comes first. Raises what ended it."""
        waiting: asyncio.Future[Any] = asyncio.ensure_future(ready.wait())
        try:
            await asyncio.wait((waiting, self._lost), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not ready.is_set():
            raise self._lost.result()

    def _listener_ended(self, task: asyncio.Task[Any]) -> None:
        why = "its socket was closed"
        if not task.cancelled() and task.exception() is not None:
            why = f"its client failed: {task.exception()!r}"
        self._lose(Transient(f"{self._address}: {why}", do="nothing: a new connection is made"))

    def _lose(self, error: MigctlError) -> None:
        if not self._lost.done():
            self._lost.set_result(error)

    def _refusal(self, state: RealtimeSubscribeStates, error: Exception | None) -> MigctlError:
        reason = str(error) if error is not None and str(error) else state.value
        what = f"{self._address}: Realtime closed the channel {self._channel.topic}: {reason}"
        if any(word in reason for word in _DENIED):
            return Systemic(
                what,
                do="check SUPABASE_PUBLISHABLE_KEY (or SUPABASE_ANON_KEY) and SUPABASE_JWT_SECRET or what else makes tokens"
                ", then run `migctl schema verify`",
            )
        return Transient(what, do="nothing: it is tried again")

    def _unreachable(self, error: Exception) -> MigctlError:
        what = f"{self._address}: Realtime can't be reached: {_words(error)}"
        if isinstance(error, InvalidStatus) and error.response.status_code in (401, 403, 404):
            return Systemic(
                what,
                do="check SUPABASE_URL and SUPABASE_PUBLISHABLE_KEY (or SUPABASE_ANON_KEY): both must be this project's",
            )
        if isinstance(error, InvalidURI):
            return Systemic(
                what, do="set SUPABASE_URL to the project's address, such as https://PROJECT.supabase.co"
            )
        return Transient(
            what, do="see whether the target is up: `migctl stack status`, or the project's health page"
        )


def open_timeout() -> RequestTimeout:
    """Of who makes one Link after another."""
    return RequestTimeout(LEAST_OPEN_S, LEAST_OPEN_S, OPEN_S)


def _words(error: Exception) -> str:
    if isinstance(error, InvalidStatus):
        body = (error.response.body or b"").decode("utf-8", "replace")
        return f"HTTP {error.response.status_code} {' '.join(beginning(body, 200).split())}".strip()
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, InvalidHandshake):
        return f"no WebSocket answers there ({type(error).__name__}: {error})"
    return str(error) or type(error).__name__
