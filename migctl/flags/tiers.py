"""Tiers: where the flags of one process come from besides its own disk: the record, or a file where there is no target.

Each is followed until cancelled by whoever owns the task; its outages are survived, logged once, and change nothing that is held.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol
from uuid import UUID, uuid5

import msgspec

from migctl import clock
from migctl.errors import MigctlError, Systemic
from migctl.events import format_time
from migctl.flags.files import read_file
from migctl.flags.holder import Holder
from migctl.flags.record import Record
from migctl.flags.registration import Registration
from migctl.flags.snapshot import Row, Snapshot, of_row, went_back
from migctl.resilience import Backoff, Connection, News, Retry
from migctl.telemetry import get_logger

# How often the record is asked: by itself, and where Redis pushes what changes.
EVERY_S = 0.5
PUSHED_EVERY_S = 10.0

# A row of a file has an id by what is in it, so that who reads the same file has the same row.
_FILES = UUID("0b3f6a52-6c3e-4f0c-9a8e-2a1b7c1d9f10")

log = get_logger("flags")


class Tier(Protocol):
    """What a process follows. heard_at: when it last answered, monotonic seconds."""

    connection: Connection
    heard_at: float | None

    async def run(self) -> None: ...


class RecordTier:
    """Follows the record. pushed: whether Redis sends changes now. read: called after each good read.

    has: what it had then, its brakes and lifts whole.
    """

    def __init__(
        self,
        record: Record,
        holder: Holder,
        registration: Registration,
        *,
        pushed: Callable[[], bool],
        read: Callable[[], None],
    ) -> None:
        self.connection = Connection(clock.mono())
        self.heard_at: float | None = None
        self.has: Snapshot | None = None
        self._record = record
        self._holder = holder
        self._registration = registration
        self._pushed = pushed
        self._on_read = read
        self._head: Row | None = None
        self._n = 0
        self._hurried = False
        self._news = News()

    def hurry(self) -> None:
        """Something may have changed: it is asked at once."""
        self._hurried = True
        self._news.wake()

    async def run(self) -> None:
        retry = Retry(Backoff(0.1, 1.0), slow=Backoff(1.0, 5.0))
        while True:
            self._hurried = False
            error = await self.once()
            if error is not None:
                retry.failed(error)
                least_s = 0.0
            else:
                retry.succeeded()
                least_s = PUSHED_EVERY_S if self._pushed() else EVERY_S
            if not self._hurried:
                await retry.wait(self._news, least_s=least_s)

    async def once(self) -> MigctlError | None:
        """Ask it. What went wrong, which is logged where it is new."""
        try:
            await self._read()
            await self._registration.renew(clock.mono())
        except MigctlError as error:
            _failed(self.connection, "record", error)
            return error
        _succeeded(self.connection, "record")
        self._on_read()
        return None

    async def _read(self) -> None:
        # What is held before the read begins was in the record then, wherever it was heard: a lower head means that it went back.
        held = self._holder.snapshot
        contents = await self._record.read(self._n)
        head = contents.head if contents.head is not None or contents.n != self._n else self._head
        self._head, self._n = head, contents.n
        snapshot = contents.snapshot
        switch = self._holder.switch
        if contents.n < held.n:
            brakes = went_back(
                held, head, switch.flag, switch.opened, switch.otherwise, at=format_time(clock.now())
            )
            for brake in brakes:
                if brake.id not in held.brakes:
                    log.error(
                        "the record went back: it is older than what is held, and its lower share is kept to",
                        n=contents.n, held=held.n, brake=brake.id, max_percent=brake.max_percent, split=brake.split,
                    )  # fmt: skip
                    snapshot = snapshot.with_brake(brake)
        await self._holder.follow(snapshot)
        self._holder.reached_the_record()
        self._registration.heard(contents.processes)
        self.has, self.heard_at = contents.snapshot, clock.mono()


class FileTier:
    """A file is the record, where there is no target. Who edits it is its author: a share that rises there was raised by hand.

    metadata `lifts` names the brakes that it ends, parted by blanks.
    """

    def __init__(self, path: Path, holder: Holder) -> None:
        self.connection = Connection(clock.mono())
        self.heard_at: float | None = None
        self.path = path
        self._holder = holder
        self._stat: tuple[int, int, int] | None = None

    def hurry(self) -> None:
        """It is read often enough."""

    async def run(self) -> None:
        while True:
            await self.once()
            await asyncio.sleep(EVERY_S)

    async def once(self) -> MigctlError | None:
        """Read it where it changed. What is wrong with it, which is logged where it is new."""
        try:
            await self._read()
        except MigctlError as error:
            _failed(self.connection, "file of flags", error)
            return error
        _succeeded(self.connection, "file of flags")
        return None

    async def _read(self) -> None:
        try:
            of = self.path.stat()
        except OSError as error:
            raise Systemic(
                f"{self.path}: {error.strerror}", do="put it there: its flags hold meanwhile"
            ) from None
        stat = (of.st_ino, of.st_mtime_ns, of.st_size)
        if stat != self._stat:
            row = self._row(int(of.st_mtime * 1000))
            await self._holder.follow(of_row(self._holder.snapshot.target, row))
            self._holder.reached_the_record()
            self._stat = stat
        self.heard_at = clock.mono()

    def _row(self, modified_ms: int) -> Row:
        flag_set = read_file(self.path)
        lifts = tuple(str(flag_set.metadata.get("lifts", "")).split())
        document = flag_set.document()
        digest = hashlib.sha256(msgspec.json.encode(document)).hexdigest()
        held = self._holder.snapshot
        row_id = str(uuid5(_FILES, digest))
        # The newest in the file counts, also where its time is older than that of what it replaces.
        is_held = row_id in {row.id for row in held.rows}
        n = held.n if is_held else max(held.n + 1, modified_ms)
        at = format_time(datetime.fromtimestamp(modified_ms / 1000, UTC))
        return Row(n=n, id=row_id, document=document, lifts=lifts, by="file", at=at, reason=str(self.path))


def _succeeded(connection: Connection, what: str) -> None:
    change = connection.succeeded(clock.mono())
    if change is not None:
        log.info(f"{what} reached again", failed_for_s=round(change.failed_for_s or 0.0, 1))


def _failed(connection: Connection, what: str, error: MigctlError) -> None:
    state: Literal["retrying", "paused"] = "retrying" if error.retry else "paused"
    if connection.failed(clock.mono(), state, error.what, error.do) is not None:
        log.warning(f"{what} is not reached; flags hold as they are", reason=error.what, do=error.do)
