"""A stream of committed transactions, from a temporary logical slot on a connection of its own.

It begins at the present. The slot dies with the connection, so what was committed while there was none is never seen: that is
what the real server does too. Received transactions wait here until they are taken; beyond a bound nothing more is read.
"""

from __future__ import annotations

import asyncio
import os
import struct
import time
from collections import deque

import psycopg
from psycopg.conninfo import make_conninfo

from migctl.stack.standin.database import DatabaseDown, quote_ident, quote_literal
from migctl.stack.standin.wal.pgoutput import BadMessage, Decoder, Transaction

_FEEDBACK_S = 10.0
_MESSAGES_A_TURN = 1000
_WAITING_BYTES = 64 << 20
_EPOCH_2000_S = 946_684_800
# Values are decoded as text: in a spelling that does not depend on the server's settings.
_SPELLING = (
    "-c datestyle=ISO -c timezone=UTC -c intervalstyle=postgres -c extra_float_digits=1 -c bytea_output=hex"
)


class Stream:
    """Made by `open`. `lost` says why it ended, once it did. `news` is set when something came or it ended; who waits clears it."""

    def __init__(self, conn: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        self._conn = conn
        self._pg = conn.pgconn
        # Kept: once the connection is lost, libpq no longer says which socket it had, and that has to be given back all the same.
        self._socket = conn.pgconn.socket
        self._loop = asyncio.get_running_loop()
        self._decoder = Decoder()
        self._ready: deque[tuple[Transaction, int]] = deque()
        self._ready_bytes = 0
        self._open_bytes = 0
        self._taken_lsn = 0
        self._reading = False
        self._feedback: asyncio.TimerHandle | None = None
        self.lost: str | None = None
        self.news = asyncio.Event()

    @classmethod
    async def open(cls, dsn: str, publication: str) -> Stream:
        """Connect, make a slot, start. Raises DatabaseDown."""
        slot = f"migctl_standin_{os.getpid()}_{time.monotonic_ns()}"
        conn = None
        try:
            conn = await psycopg.AsyncConnection.connect(
                make_conninfo(
                    dsn, replication="database", options=_SPELLING, application_name="migctl stand-in"
                ),
                autocommit=True,
                connect_timeout=5,
            )
            name = quote_ident(slot)
            await conn.execute(
                f"CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT".encode()
            )
            stream = cls(conn)
            await stream._start(name, publication)
        except psycopg.Error as error:
            if conn is not None:
                await conn.close()
            raise DatabaseDown(str(error).strip()) from error
        return stream

    def take(self, changes: int) -> list[Transaction]:
        """Whole transactions, in order of commit, until they have so many changes or no more is there."""
        taken: list[Transaction] = []
        count = 0
        while self._ready and count < changes:
            transaction, size = self._ready.popleft()
            self._ready_bytes -= size
            self._taken_lsn = transaction.end_lsn
            taken.append(transaction)
            count += len(transaction.changes)
        if self.lost is None and not self._reading:
            self._read_on()
        return taken

    def lose(self, reason: str) -> None:
        """End it as an outage would: what was received and not taken is lost too."""
        self._end(reason)
        self._ready.clear()
        self._ready_bytes = 0

    async def close(self) -> None:
        self._end("closed")
        await self._conn.close()

    async def _start(self, slot: str, publication: str) -> None:
        options = f"(proto_version '1', publication_names {quote_literal(quote_ident(publication))})"
        self._pg.send_query(f"START_REPLICATION SLOT {slot} LOGICAL 0/0 {options}".encode())
        self._pg.nonblocking = 1
        while self._pg.flush():
            await asyncio.sleep(0)
        started = asyncio.Event()
        self._loop.add_reader(self._socket, started.set)
        try:
            async with asyncio.timeout(10):
                while True:
                    await started.wait()
                    started.clear()
                    self._pg.consume_input()
                    if not self._pg.is_busy():
                        break
        except TimeoutError:
            raise psycopg.OperationalError("replication did not start") from None
        finally:
            self._loop.remove_reader(self._socket)
        result = self._pg.get_result()
        if result is None or result.status != psycopg.pq.ExecStatus.COPY_BOTH:
            raise psycopg.OperationalError(
                result.get_error_message() if result else "replication did not start"
            )
        self._feedback = self._loop.call_later(_FEEDBACK_S, self._feed_back)
        self._read_on()

    def _read_on(self) -> None:
        self._reading = True
        self._loop.add_reader(self._socket, self._read)
        # What came with the last packet is in libpq's buffer already, and the socket will not say so again.
        self._loop.call_soon(self._read)

    def _read(self) -> None:
        if self.lost is not None or not self._reading:
            return
        try:
            self._pg.consume_input()
            for _ in range(_MESSAGES_A_TURN):
                size, data = self._pg.get_copy_data(1)
                if size == 0:
                    return
                if size < 0:
                    result = self._pg.get_result()
                    reason = result.get_error_message() if result is not None else ""
                    self._end(reason.strip() or "the server ended the stream")
                    return
                if data is not None:
                    self._take_in(bytes(data))
                if self._ready_bytes > _WAITING_BYTES:
                    self._stop_reading()
                    return
            self._loop.call_soon(self._read)
        except (psycopg.Error, BadMessage) as error:
            self._end(str(error).strip())

    def _take_in(self, data: bytes) -> None:
        if data[0] == 0x77:  # w: a piece of the log
            self._open_bytes += len(data)
            transaction = self._decoder.feed(data[25:])
            if transaction is not None:
                size, self._open_bytes = self._open_bytes, 0
                if transaction.changes:
                    self._ready.append((transaction, size))
                    self.news.set()
                    self._ready_bytes += size
        elif data[0] == 0x6B:  # k: keepalive
            end_lsn, _, asked = struct.unpack_from(">qqb", data, 1)
            if not self._ready and not self._open_bytes:
                self._taken_lsn = max(self._taken_lsn, end_lsn)
            if asked:
                self._confirm()

    def _feed_back(self) -> None:
        self._feedback = self._loop.call_later(_FEEDBACK_S, self._feed_back)
        try:
            self._confirm()
        except psycopg.Error as error:
            self._end(str(error).strip())

    def _confirm(self) -> None:
        """Only what was taken is confirmed: the server may drop the log up to there."""
        moment = int((time.time() - _EPOCH_2000_S) * 1e6)
        lsn = self._taken_lsn
        self._pg.put_copy_data(struct.pack(">cqqqqB", b"r", lsn, lsn, lsn, moment, 0))
        self._pg.flush()

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._socket)

    def _end(self, reason: str) -> None:
        if self.lost is not None:
            return
        self.lost = reason
        self.news.set()
        self._stop_reading()
        if self._feedback is not None:
            self._feedback.cancel()
