"""Tap: one more client of the old WebSocket. It takes what the upstream sends, and never slows it.

An upstream that writes to its clients one by one would be held up by a client that does not read; so a journal that takes nothing
fills a bounded buffer first, and then the tap leaves the socket until the journal is back. Each time without a socket is an
outage, recorded in `outages.ndjson`.

A frame, text or binary, is one JSON object; a frame that holds an array is its items, each an event of its own. What is neither is
kept as rejected. Ping and pong are the library's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from migctl.clock import now
from migctl.errors import Usage
from migctl.events import BadEvent
from migctl.events.jsontext import split_array
from migctl.ingest.deposit import Deposit, Item, see_through
from migctl.ingest.mapping import Mapper
from migctl.ingest.outages import SEEN_EVERY_S, Outages
from migctl.ingest.rejected import Rejected
from migctl.journal import Journal
from migctl.resilience import Backoff
from migctl.status import SourceState, TapStatus
from migctl.telemetry import get_logger

MAX_FRAME_BYTES = 16 << 20
MAX_BUFFER_BYTES = 32 << 20
BATCH_EVENTS = 500
# Short: what the upstream sends while we stay away is lost, and we are one client.
BACKOFF = Backoff(first_s=0.1, most_s=1.0)
OPEN_TIMEOUT_S = 10.0
PING_EVERY_S = 10.0
CLOSE_TIMEOUT_S = 1.0
STOP_WITHIN_S = 2.0
STALL_S = 0.25  # what the buffers of the connection hide from the upstream

# A connection that did not last this long counts as a failure: an upstream that accepts and closes must not be hammered.
_LASTED_S = 5.0
_WHITE = b" \t\r\n"

_log = get_logger("ingest")


class TapSource:
    """`run` lasts until cancelled. max_buffer_bytes: of frames that wait for the journal."""

    def __init__(
        self,
        url: str,
        *,
        mapper: Mapper,
        rejected: Rejected,
        state_dir: Path,
        backoff: Backoff = BACKOFF,
        max_buffer_bytes: int = MAX_BUFFER_BYTES,
        random: Callable[[], float] | None = None,
    ) -> None:
        host = _host(url)
        self._url = url
        self._name = _without_secrets(url)
        self._mapper = mapper.named(host)
        self._rejected = rejected
        self._outages = Outages(state_dir, self._name)
        self._backoff = backoff
        self._random = random or Random().random
        self._max_buffer = max_buffer_bytes
        self._frames: deque[tuple[bytes, datetime]] = deque()
        self._buffered = 0
        self._in_hand: tuple[int, datetime] | None = None  # frames, and the arrival of the oldest
        self._arrived = asyncio.Event()
        self._drained = asyncio.Event()
        self._deposit: Deposit | None = None
        self._state: SourceState = "new"
        self._reason: str | None = None
        self._connections = 0
        self._received = 0
        self._ignored = 0
        self._bad = 0

    async def run(self, journal: Journal) -> None:
        self._deposit = Deposit(journal, source=self._name, rejected=self._rejected)
        self._outages.resume(now())
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._store(self._deposit))
                tasks.create_task(self._listen())
        finally:
            self._state = "closed"
            await self._store_rest(self._deposit)

    async def _store_rest(self, deposit: Deposit) -> None:
        """At the end: what was heard and waits goes to the journal, if that takes it soon."""
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                while self._frames:
                    await self._store_batch(deposit)
        except TimeoutError:
            _log.error(
                "the journal took nothing; the frames that waited for it are lost",
                source=self._name,
                bytes=self._buffered,
                reason=deposit.waiting_for,
            )
        self._outages.stop(self._stored_until(now()))

    def _stored_until(self, moment: datetime) -> datetime:
        """All that was heard before is in the journal."""
        if self._in_hand is not None:
            return self._in_hand[1]
        return self._frames[0][1] if self._frames else moment

    # The socket.

    async def _listen(self) -> None:
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            self._state = "connecting"
            opened: float | None = None
            began = now()
            try:
                async with connect(
                    self._url,
                    max_size=MAX_FRAME_BYTES,
                    open_timeout=OPEN_TIMEOUT_S,
                    close_timeout=CLOSE_TIMEOUT_S,
                    ping_interval=PING_EVERY_S,
                    ping_timeout=PING_EVERY_S,
                    proxy=None if _is_loopback(self._url) else True,
                ) as socket:
                    opened = loop.time()
                    self._connections += 1
                    self._state, self._reason = "connected", None
                    self._outages.end(now())
                    reason, lost_at = await self._receive(socket)
            except (OSError, TimeoutError, WebSocketException) as error:
                reason, lost_at = (
                    _why(error),
                    began,
                )  # before the first socket we are missing from the first attempt on
            self._reason = reason
            self._outages.begin(lost_at, reason)
            if self._buffered >= self._max_buffer:
                self._state = "waiting"
                await self._until_drained()
                failures = 0
                continue
            failures = 1 if opened is not None and loop.time() - opened >= _LASTED_S else failures + 1
            self._state = "waiting"
            await asyncio.sleep(self._backoff.delay_s(failures, self._random))

    async def _receive(self, socket: ClientConnection) -> tuple[str, datetime]:
        """Take frames until the socket or the buffer ends it; return the reason, and since when frames may be lost."""
        heard = now()
        while True:
            try:
                async with asyncio.timeout(SEEN_EVERY_S):
                    frame = await socket.recv(decode=False)
            except TimeoutError:  # a quiet stream: recv is safe to cancel
                self._outages.listening(self._stored_until(now()))
                continue
            except ConnectionClosed as error:
                ended = now()
                if (
                    error.rcvd is None and error.sent is not None
                ):  # no pong: it may have been dead since the last ping
                    ended = max(heard, ended - timedelta(seconds=2 * PING_EVERY_S + CLOSE_TIMEOUT_S))
                return _why(error), ended
            arrived = heard = now()
            assert isinstance(frame, bytes)
            self._received += 1
            self._outages.listening(self._stored_until(arrived))
            self._frames.append((frame, arrived))
            self._buffered += len(frame)
            self._arrived.set()
            if self._buffered >= self._max_buffer and not await self._drains_soon():
                waiting = self._deposit.waiting_for if self._deposit else None
                why = f"the journal did not take events: {waiting or 'slower than the stream'}; {self._buffered} bytes wait"
                return why, arrived  # frames that the library holds by now go with the socket

    async def _drains_soon(self) -> bool:
        """True where the journal only needed a moment: a burst is no reason to leave the socket."""
        try:
            async with asyncio.timeout(STALL_S):
                await self._until_drained()
        except TimeoutError:
            return False
        return True

    async def _until_drained(self) -> None:
        while self._buffered > self._max_buffer // 4:
            self._drained.clear()
            await self._drained.wait()

    # The journal.

    async def _store(self, deposit: Deposit) -> None:
        while True:
            await self._arrived.wait()
            await see_through(self._store_batch(deposit), within_s=STOP_WITHIN_S)
            if not self._frames:
                self._arrived.clear()

    async def _store_batch(self, deposit: Deposit) -> None:
        items: list[Item] = []
        size = frames = 0
        oldest = self._frames[0][1]
        while self._frames and len(items) < BATCH_EVENTS and frames < BATCH_EVENTS:
            frame, arrived = self._frames.popleft()
            frames += 1
            size += len(frame)
            self._take(frame, arrived, items)
        self._in_hand = (frames, oldest)
        await deposit.put(items)
        self._in_hand = None
        self._buffered -= size
        self._drained.set()

    def _take(self, frame: bytes, arrived: datetime, items: list[Item]) -> None:
        """Turn a frame into items; what does not fit is kept as rejected."""
        for text in self._events_of(frame, arrived):
            try:
                event = self._mapper.event(text, arrived=arrived)
            except BadEvent as error:
                self._reject(text, error, arrived)
                continue
            if event is None:
                self._ignored += 1
            else:
                items.append(Item(event, text, None))

    def _events_of(self, frame: bytes, arrived: datetime) -> list[bytes]:
        if frame.lstrip(_WHITE)[:1] != b"[":
            return [frame]
        try:
            return split_array(frame)
        except ValueError as error:
            self._reject(frame, BadEvent("", "json", f"is no JSON array: {error}"), arrived)
            return []

    def _reject(self, text: bytes, error: BadEvent, arrived: datetime) -> None:
        self._bad += 1
        self._rejected.add(text, error, source=self._name, offset=None, at=arrived)

    def status(self) -> TapStatus:
        deposit = self._deposit
        return TapStatus(
            source=self._name,
            state=self._state,
            reason=self._reason,
            waiting_for=deposit.waiting_for if deposit else None,
            connections=self._connections,
            frames=self._received,
            accepted=deposit.accepted if deposit else 0,
            duplicates=deposit.duplicates if deposit else 0,
            without_time=deposit.without_time if deposit else 0,
            ignored=self._ignored,
            rejected=self._bad + (deposit.conflicts if deposit else 0),
            rejected_file=str(self._rejected.path),
            buffered_frames=len(self._frames) + (self._in_hand[0] if self._in_hand else 0),
            buffered_bytes=self._buffered,
            outages=self._outages.status(),
        )


def _why(error: BaseException) -> str:
    """The reason of an outage in words; no address with a secret in it."""
    if isinstance(error, InvalidStatus):
        return f"the upstream answered {error.response.status_code}"
    if isinstance(error, ConnectionClosed):
        closed = error.rcvd
        if closed is None:
            return (
                "the connection broke"
                if error.sent is None
                else f"the connection was given up: {error.sent.reason}"
            )
        return f"the upstream closed: {closed.code}{f' {closed.reason}' if closed.reason else ''}"
    if isinstance(error, TimeoutError):
        return f"no answer within {OPEN_TIMEOUT_S:g} s"
    if isinstance(error, InvalidHandshake):
        return f"no WebSocket handshake: {error}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or urlsplit(url).fragment:
        raise Usage(
            f"--source {_without_secrets(url)}: is no WebSocket address", do="write ws://HOST:PORT/PATH"
        )
    return host


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _without_secrets(url: str) -> str:
    """For logs, status and files: without user, password and query."""
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{where}{parts.path}"
