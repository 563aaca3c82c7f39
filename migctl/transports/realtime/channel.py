"""Channel: our own joined Phoenix channel, over which hints are pushed and acknowledged.

A channel is one socket, joined to one topic or to several. Once lost (closed, an error, or no acknowledgement for a second) it is
never used again; the owner opens a new one. The official client is for receiving: it would re-encode `data`, buffer what is pushed
while it is away, and let nobody know whether a broadcast was acknowledged. What its frames mean is `exchange`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus, InvalidURI, WebSocketException

from migctl import clock
from migctl.errors import Systemic, Transient, first_error
from migctl.redaction import beginning
from migctl.resilience import RequestTimeout, staggered, within
from migctl.target.tokens import renew_in_s
from migctl.transports.dialing import Straight, hang_up
from migctl.transports.realtime import frames
from migctl.transports.realtime.exchange import (
    Acknowledged,
    Broadcast,
    Change,
    ChannelLost,
    Exchange,
    Joined,
    Subscribed,
    refused_upgrade,
)

HEARTBEAT_S = 25.0
OPEN_TIMEOUT_S = 5.0
# After so long another socket is tried beside the one that does not open; longer where it takes longer here.
LEAST_OPEN_S = 1.5
# The server holds a refusal back for 5 s; a shorter patience would never hear the reason.
# It answers no heartbeat meanwhile, so whether the line works can't be asked.
JOIN_TIMEOUT_S = 8.0
# A subscription to changes is there some seconds after the reply to the join; the server itself gives up after 10.
SUBSCRIBED_WITHIN_S = 15.0

_PREFIX = "realtime:"

GivesToken = Callable[[], Awaitable[str]]
Heard = Callable[[str, dict[str, object]], None]


@dataclass(frozen=True, slots=True)
class Changes:
    """What else a channel is to bring. of: schema and table. heard: gets the `data` of each change of it."""

    of: tuple[str, str]
    heard: Callable[[dict[str, object]], None]


class Channel:
    """Joined, until it is lost. Made by `joined`."""

    def __init__(
        self, socket: ClientConnection, topics: Sequence[str], heard: Heard, changes: Changes | None = None
    ) -> None:
        self._exchange = Exchange(topics, changes=changes is not None)
        self._changes = changes
        self._subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._topics = tuple(topics)
        self._socket = socket
        self._heard = heard
        self._joining: dict[str, asyncio.Future[None]] = {}
        self._pushed = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def acknowledged(self) -> int:
        """How many broadcasts were."""
        return self._exchange.acknowledged

    async def push(self, topic: str, event: str, payload: bytes) -> None:
        """Send a broadcast, and return once it is on its way. Where no acknowledgement comes, the channel is lost.

        topic: one that was joined. payload: JSON. Raises ChannelLost.
        """
        refs = self._exchange.pushes(_PREFIX + topic, clock.mono())
        self._pushed.set()
        self._quiet.clear()
        await self._send(_PREFIX + topic, "broadcast", frames.broadcast_payload(event, payload), refs)

    async def settled(self) -> None:
        """Return once all that was pushed is acknowledged, or never will be."""
        await self._quiet.wait()

    async def _send(
        self, topic: str, event: str, payload: bytes, refs: tuple[int, int | None] | None = None
    ) -> None:
        ref, join_ref = refs if refs is not None else self._exchange.sends(topic)
        try:
            await self._socket.send(
                frames.encode(topic, event, payload, ref=ref, join_ref=join_ref), text=True
            )
        except (WebSocketException, OSError) as error:
            raise self._lost(_words(error)) from error

    async def _join(self, topic: str, access_token: str) -> None:
        refs = self._exchange.joins(topic)
        reply = self._joining[topic] = asyncio.get_running_loop().create_future()
        changes_of = None if self._changes is None else self._changes.of
        await self._send(topic, "phx_join", frames.join_payload(access_token, changes_of=changes_of), refs)
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
                    raise self._lost(f"not a Phoenix frame: {beginning(str(text), 80)!r}") from None
                self._take(frame)
        except (WebSocketException, OSError) as error:
            raise self._lost(_words(error)) from error
        raise self._lost(f"closed by the server ({self._socket.close_code})")

    def _take(self, frame: frames.Frame) -> None:
        try:
            meaning = self._exchange.hears(frame)
        except ChannelLost:
            self._quiet.set()
            raise
        match meaning:
            case Joined(topic):
                _resolve(self._joining[topic])
            case Subscribed():
                _resolve(self._subscribed)
            case Acknowledged(settled=True):
                self._quiet.set()
            case Broadcast(event, payload):
                self._heard(event, payload)
            case Change(data) if self._changes is not None:
                self._changes.heard(data)

    async def _beat(self) -> None:
        while True:
            await self._send("phoenix", "heartbeat", b"{}")
            await asyncio.sleep(HEARTBEAT_S)

    async def _renew(self, access_token: str, token: GivesToken) -> None:
        """A new token before the old one ends."""
        while True:
            await asyncio.sleep(renew_in_s(access_token))
            access_token = await token()
            for topic in self._topics:
                await self._send(topic, "access_token", frames.token_payload(access_token))

    async def _watch(self) -> None:
        """Lose the channel when something pushed is not acknowledged in time."""
        while True:
            await self._pushed.wait()
            try:
                left = self._exchange.left_s(clock.mono())
            except ChannelLost:
                self._quiet.set()
                raise
            if left is None:
                self._pushed.clear()
                continue
            await asyncio.sleep(left)

    def _lost(self, why: str) -> ChannelLost:
        self._quiet.set()
        return self._exchange.lost(why)


@asynccontextmanager
async def joined(
    supabase_url: str,
    *,
    apikey: str,
    topics: Sequence[str],
    token: GivesToken,
    heard: Heard = lambda event, payload: None,
    changes: Changes | None = None,
    opening: RequestTimeout | None = None,
) -> AsyncIterator[Channel]:
    """A channel joined to private topics for the length of the block, which is cancelled when the channel is lost.

    topics: at least one, without `realtime:`; the first names it in errors. token: called for each joining,
    and before the one that it gave has ended.
    heard: gets event and payload of each broadcast that others send. changes: with one topic only; they come from the beginning of
    the block on. opening: how long sockets took to open, of who opens one after another. Raises ChannelLost, Transient, Systemic.
    """
    address = f"ws{supabase_url.removeprefix('http')}/realtime/v1/websocket"
    action = f"open a socket to {address}"
    opening = opening or open_timeout()
    began = clock.mono()

    async def open_socket() -> ClientConnection:
        return await Straight(
            f"{address}?{urlencode({'apikey': apikey, 'vsn': '1.0.0'})}",
            open_timeout=None,
            close_timeout=0.2,
            ping_interval=None,  # the acknowledgements show it sooner
            compression=None,
        )

    try:
        socket = await staggered(
            open_socket,
            apart_s=opening.seconds(),
            most_s=OPEN_TIMEOUT_S,
            drop=lambda late: late.transport.abort(),
        )
    except InvalidStatus as error:
        raise refused_upgrade(action, error.response.status_code) from error
    except InvalidURI as error:
        raise Systemic(f"{action}: {error}", do="set SUPABASE_URL to the project's address") from error
    except (WebSocketException, OSError, TimeoutError) as error:
        raise Transient(f"{action}: {_words(error)}", do="nothing: it is tried again") from error
    opening.answered(clock.mono() - began)

    name = topics[0]
    channel = Channel(socket, [_PREFIX + topic for topic in topics], heard, changes)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(channel._read(), name=f"{name} reader")]
            access_token = await token()
            for topic in topics:
                await channel._join(_PREFIX + topic, access_token)
            tasks.append(group.create_task(channel._beat(), name=f"{name} heartbeat"))
            tasks.append(group.create_task(channel._renew(access_token, token), name=f"{name} token"))
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
        await hang_up(socket)


def open_timeout() -> RequestTimeout:
    """Of who opens one channel after another."""
    return RequestTimeout(LEAST_OPEN_S, LEAST_OPEN_S, OPEN_TIMEOUT_S)


def _resolve(waited_for: asyncio.Future[None]) -> None:
    if not waited_for.done():
        waited_for.set_result(None)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
