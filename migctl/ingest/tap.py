"""Tap: one more client of the old WebSocket. It takes what the upstream sends, and a journal that waits never slows that.

It never takes the whole process: after a spell of frames it rests, so that everybody else is served. How far behind that leaves
it is said: how long the oldest frame waits, and how much of the connection is not read yet.

An upstream that writes to its clients one by one would be held up by a client that does not read; so a journal that takes nothing
fills a bounded buffer first, and then the tap leaves the socket until the journal is back. Each time without a socket is an
outage, recorded in `outages.ndjson`.

A frame, text or binary, is one JSON object; a frame that holds an array is its items, each an event of its own. What is neither is
kept as rejected. Ping and pong are the library's.
"""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from migctl.clock import now
from migctl.config.address import socket_host
from migctl.errors import Transient, Usage
from migctl.events import BadEvent
from migctl.ingest.deposit import Deposit, Item, came_of, finish, item_of, losses_of
from migctl.ingest.frames import Frames, events_of, lost_since
from migctl.ingest.mapping import Mapper
from migctl.ingest.outages import NOTE_EVERY_S, Outages
from migctl.ingest.rejected import Rejected
from migctl.ingest.tapped import Tapped
from migctl.ingest.turns import Turns
from migctl.journal import Journal
from migctl.redaction import redact
from migctl.resilience import Backoff, News, Retry, within
from migctl.status import SourceState, TapStatus
from migctl.telemetry import get_logger
from migctl.transports.dialing import Followed, Keeping

MAX_BUFFER_BYTES = 32 << 20
BATCH_EVENTS = 500
# Short: what the upstream sends while we stay away is lost, and we are one client.
BACKOFF = Backoff(first_s=0.1, most_s=1.0)
OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0
STOP_WITHIN_S = 2.0
STALL_S = 0.25  # what the buffers of the connection hide from the upstream

# A connection that did not last this long counts as a failure: an upstream that accepts and closes must not be hammered.
_LASTED_S = 5.0

_log = get_logger("ingest")


class TapSource:
    """`run` lasts until cancelled. max_buffer_bytes: of frames that wait for the journal.

    keeping: when an upstream that is silent is given up. stop_within_s: at the end, for what waits for the journal.
    tapped: what has come by it.
    """

    def __init__(
        self,
        url: str,
        *,
        mapper: Mapper,
        rejected: Rejected,
        state_dir: Path,
        backoff: Backoff = BACKOFF,
        max_buffer_bytes: int = MAX_BUFFER_BYTES,
        keeping: Keeping | None = None,
        stop_within_s: float = STOP_WITHIN_S,
        random: Callable[[], float] | None = None,
    ) -> None:
        host = _host(url)
        self.url = url
        self.tapped = Tapped()
        self._name = _without_secrets(url)
        self._mapper = mapper.named(host)
        self._rejected = rejected
        self._outages = Outages(state_dir, self._name)
        self._retry = Retry(backoff, random=random or Random().random)
        self._keeping = keeping or Keeping()
        self._stop_within_s = stop_within_s
        self._frames = Frames(max_buffer_bytes)
        self._batch: list[Item] = []  # of the frames in hand
        self._arrived = asyncio.Event()
        self._stored = News()
        self._deposit: Deposit | None = None
        self._state: SourceState = "new"
        self._reason: str | None = None
        self._turns = Turns()
        self._socket: ClientConnection | None = None
        self._connections = 0
        self._received = 0
        self._ignored = 0
        self._bad = 0

    async def run(self, journal: Journal) -> None:
        self._deposit = Deposit(journal, source=self._name, rejected=self._rejected)
        self._outages.resume(now())
        await asyncio.to_thread(self._rejected.load)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._store(self._deposit))
                tasks.create_task(self._deposit.summary.run())
                tasks.create_task(self._listen())
        finally:
            self._state = "closed"
            await self._store_rest(self._deposit)

    async def _store_rest(self, deposit: Deposit) -> None:
        """At the end: what was heard and waits goes to the journal, if that takes it soon."""
        if not await within(self._stop_within_s, self._store_all(deposit)):
            _log.error(
                "the journal took nothing; the frames that waited for it are lost",
                source=self._name,
                bytes=self._frames.bytes,
                reason=deposit.waiting_for,
            )
        deposit.summary.end()
        deposit.leaving.flush()
        self._outages.stop(self._frames.stored_until(now()))

    # The socket.

    async def _listen(self) -> None:
        while True:
            error = await self._once()
            self._state = "waiting"
            if self._frames.is_full:  # it is the journal that we wait for, not the upstream
                self._retry.succeeded()
                await self._until_drained()
                continue
            self._retry.failed(error)
            await self._retry.wait()

    async def _once(self) -> Transient:
        """One connection, from its opening to its end, and why it ended; the outage has begun then."""
        self._state = "connecting"
        loop = asyncio.get_running_loop()
        opened: float | None = None
        began = now()
        try:
            async with Followed(
                self.url,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=self._keeping.ping_every_s,
                ping_timeout=self._keeping.silence_s,
                max_size=self._keeping.max_frame_bytes,
            ) as socket:
                opened = loop.time()
                self._connections += 1
                self._state, self._reason = "connected", None
                self._socket = socket
                self._outages.end(now())
                reason, lost_at = await self._receive(socket)
        except (OSError, TimeoutError, WebSocketException) as error:
            # Before the first socket something is missing from the first attempt on.
            reason, lost_at = _why(error), began
        self._reason = reason
        self._outages.begin(lost_at, reason)
        if opened is not None and loop.time() - opened >= _LASTED_S:
            self._retry.succeeded()
        return Transient(f"{self._name}: {reason}", do="nothing: it is tried again")

    async def _receive(self, socket: ClientConnection) -> tuple[str, datetime]:
        """Take frames until the socket or the buffer ends it; return the reason, and since when frames may be lost."""
        heard = now()
        while True:
            try:
                async with asyncio.timeout(NOTE_EVERY_S):
                    while not self._frames.is_full:
                        frame = await socket.recv(decode=False)
                        heard = now()
                        assert isinstance(frame, bytes)
                        self._received += 1
                        self._frames.add(frame, heard)
                        self._arrived.set()
                        self._outages.listening(self._frames.stored_until(heard))
                        await self._turns.give()
            except TimeoutError:  # recv is safe to cancel, and so is a rest
                self._outages.listening(self._frames.stored_until(now()))
                continue
            except ConnectionClosed as error:
                was_silent = error.rcvd is None and error.sent is not None
                of = self._keeping
                unanswered_s = of.ping_every_s + of.silence_s + CLOSE_TIMEOUT_S if was_silent else None
                return _why(error), lost_since(heard, now(), unanswered_s=unanswered_s)
            # A burst is no reason to leave the socket: the journal may only need a moment.
            if not await within(STALL_S, self._until_drained()):
                waiting = self._deposit.waiting_for if self._deposit else None
                why = f"the journal did not take events: {waiting or 'slower than the stream'}; {self._frames.bytes} bytes wait"
                return why, heard  # frames that the library holds by now go with the socket

    async def _until_drained(self) -> None:
        while not self._frames.is_drained:
            await self._stored.wait()

    # The journal.

    async def _store(self, deposit: Deposit) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._frames:
                await finish(self._store_batch(deposit), within_s=self._stop_within_s)

    async def _store_all(self, deposit: Deposit) -> None:
        while self._frames:
            await self._store_batch(deposit)

    async def _store_batch(self, deposit: Deposit) -> None:
        """Frames to the journal, a batch of them; where that was broken off the same events are tried again, under the same ids."""
        while len(self._batch) < BATCH_EVENTS and (taken := self._frames.next()) is not None:
            self._read(*taken)
            await self._turns.give()
        self.tapped.add(item.event.id for item in self._batch)  # before others find them in the journal
        await deposit.put(self._batch)
        self._batch = []
        self._frames.stored()
        self._stored.wake()

    def _read(self, frame: bytes, arrived: datetime) -> None:
        """Add what is in a frame to the batch; what does not fit is kept as rejected."""
        try:
            texts = events_of(frame)
        except BadEvent as error:
            self._reject(frame, error, arrived)
            return
        for text in texts:
            try:
                found = self._mapper.read(text, arrived=arrived)
            except BadEvent as error:
                self._reject(text, error, arrived)
                continue
            if found.event is None:
                self._ignored += 1
            else:
                self._batch.append(item_of(found.event, found, text, None))

    def _reject(self, text: bytes, error: BadEvent, arrived: datetime) -> None:
        self._bad += 1
        self._rejected.add(text, error, source=self._name, offset=None, at=arrived)

    def status(self) -> TapStatus:
        deposit, at = self._deposit, now()
        return TapStatus(
            source=self._name,
            state=self._state,
            reason=self._reason,
            waiting_for=deposit.waiting_for if deposit else None,
            connections=self._connections,
            frames=self._received,
            **came_of(deposit),
            accepted=deposit.accepted if deposit else 0,
            duplicates=deposit.duplicates if deposit else 0,
            **losses_of(deposit, self._mapper),
            ignored=self._ignored,
            rejected=self._bad + (deposit.conflicts if deposit else 0),
            rejected_file=str(self._rejected.path),
            rejected_waiting=self._rejected.waiting(),
            rejected_lost=self._rejected.not_written,
            buffered_frames=len(self._frames),
            buffered_bytes=self._frames.bytes,
            behind_s=round(max(0.0, (at - self._frames.stored_until(at)).total_seconds()), 3),
            unread_bytes=_unread(self._socket) if self._state == "connected" else 0,
            rests=self._turns.rests,
            outages=self._outages.status(at),
        )


def _unread(socket: ClientConnection | None) -> int:
    """What has come over the connection and waits in the system; 0 where that can't be asked."""
    wire = socket.transport.get_extra_info("socket") if socket is not None else None
    if wire is None:
        return 0
    size = bytearray(4)
    try:
        fcntl.ioctl(wire.fileno(), termios.FIONREAD, size)
    except (OSError, ValueError):  # ValueError: it is closed by now
        return 0
    return int.from_bytes(size, sys.byteorder)


def _why(error: BaseException) -> str:
    """The reason of an outage in words; no address with a secret in it, and nothing else that lets one in."""
    return redact(_words(error))


def _words(error: BaseException) -> str:
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
    host = socket_host(url)
    if host is None:
        # Of one that can't be taken apart nobody knows where the password ends.
        shown = "(not shown, since it may hold a password)" if "@" in url else _without_secrets(url)
        raise Usage(
            f"--source {shown}: is no WebSocket address",
            do="write ws://HOST:PORT/PATH; what is no letter or digit in a user or password is written %XX",
        )
    return host


def _without_secrets(url: str) -> str:
    """For logs, status and files: without user, password and query."""
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{where}{parts.path}"
