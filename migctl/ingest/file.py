"""File: events from an NDJSON file, or from stdin.

The offset of what was read stands in the journal, in the same transaction as the events, so a file that is read again after
kill -9 gives each line exactly once. stdin and pipes can't be read again, and say so. Memory holds one chunk and one batch; a
journal that takes nothing stops the reading.

A file is known by its path and its first line, so that another file under the same name begins anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncGenerator
from functools import partial
from hashlib import sha256
from pathlib import Path

from msgspec.structs import asdict

from migctl.clock import now
from migctl.errors import Usage
from migctl.events import BadEvent
from migctl.events.ids import id_of_line
from migctl.ingest.deposit import Deposit, Item, finish
from migctl.ingest.lines import Line, Lines
from migctl.ingest.mapping import Mapper
from migctl.ingest.rejected import Rejected
from migctl.journal import Journal
from migctl.status import FileStatus, SourceState, StdinStatus
from migctl.telemetry import get_logger

CHUNK_BYTES = 256 << 10
BATCH_EVENTS = 1000
STOP_WITHIN_S = 2.0
_LINES_BETWEEN_YIELDS = 64
_FINGERPRINT_BYTES = 4096
_BOM = b"\xef\xbb\xbf"

_log = get_logger("ingest")


class FileSource:
    """`spec`: a path, or `-`. `run` ends at the end of the input."""

    def __init__(self, spec: str, *, mapper: Mapper, rejected: Rejected) -> None:
        if spec != "-":
            _refuse_unreadable(spec)
        self._spec = spec
        self._name = "stdin" if spec == "-" else spec
        self._mapper = mapper.named("stdin" if spec == "-" else Path(spec).name or spec)
        self._rejected = rejected
        self._deposit: Deposit | None = None
        self._key: str | None = None
        self._batch: list[Item] = []
        self._end = 0
        self._stored = 0
        self._resumed_from = 0
        self._size: int | None = None
        self._state: SourceState = "new"
        self._lines = 0
        self._ignored = 0
        self._bad = 0

    async def run(self, journal: Journal) -> None:
        deposit = self._deposit = Deposit(journal, source=self._name, rejected=self._rejected)
        fd, own = self._open()
        try:
            await asyncio.to_thread(self._rejected.load)
            status = os.fstat(fd)
            regular = stat.S_ISREG(status.st_mode)
            if regular and own:
                await self._resume(journal, fd, status.st_size)
                chunks = _from_file(fd, self._end)
            else:
                _log.warning(
                    "this source can't resume: what it sent before a crash of migctl and was not yet stored is gone",
                    source=self._name,
                )
                chunks = _from_stream(fd, regular=regular)
            self._state = "reading"
            async with deposit.summary.beside():
                await self._read(chunks, deposit)
            self._state = "finished"
            _log.info("the source has ended", **asdict(self.status()))
        finally:
            if self._state != "finished":
                self._state = "stopped"
            if own:
                os.close(fd)

    def _open(self) -> tuple[int, bool]:
        if self._spec == "-":
            return 0, False
        try:
            fd = os.open(self._spec, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise _unreadable(self._spec, error) from None
        return fd, True

    async def _resume(self, journal: Journal, fd: int, size: int) -> None:
        first = os.pread(fd, _FINGERPRINT_BYTES, 0).split(b"\n", 1)[0]
        self._key = f"file:{Path(self._spec).resolve()}#{sha256(first).hexdigest()[:16]}"
        self._size = size
        offset = await journal.offset(self._key) or 0
        if offset > size:
            raise Usage(
                f"--source {self._spec}: {offset} bytes of it were read before, and now it has {size}: it was cut or rewritten",
                do="give the new file a name of its own; nothing was read from it",
            )
        self._end = self._stored = self._resumed_from = offset
        if offset:
            _log.info("reading on where it stopped", source=self._name, offset_bytes=offset, size_bytes=size)

    async def _read(self, chunks: AsyncGenerator[bytes, None], deposit: Deposit) -> None:
        lines = Lines(offset=self._end)
        async with contextlib.aclosing(chunks):
            async for chunk in chunks:
                work = self._chunk(lines, chunk, deposit)
                # What came from a pipe can't be read again, so it is brought to the journal before we go.
                await (work if self._key is not None else finish(work, within_s=STOP_WITHIN_S))
        last = lines.end()
        if last is not None:
            await self._take(last, deposit)
        await self._flush(deposit)

    async def _chunk(self, lines: Lines, chunk: bytes, deposit: Deposit) -> None:
        for line in lines.feed(chunk):
            await self._take(line, deposit)
        await self._flush(deposit)

    async def _take(self, line: Line, deposit: Deposit) -> None:
        self._lines += 1
        self._end = line.end
        text = line.text.removeprefix(_BOM) if line.offset == 0 else line.text
        make_id = None if self._key is None else partial(id_of_line, self._key, line.offset)
        try:
            if line.cut:
                raise BadEvent(
                    "", "large", f"the line has {line.size} bytes; at most {len(line.text)} are read"
                )
            if text and not text.isspace():
                event = self._mapper.event(text, arrived=now(), make_id=make_id)
                if event is None:
                    self._ignored += 1
                else:
                    self._batch.append(Item(event, line.text, line.offset))
        except BadEvent as error:
            self._bad += 1
            id = None if make_id is None else make_id()
            self._rejected.add(line.text, error, source=self._name, offset=line.offset, at=now(), id=id)
        if len(self._batch) >= BATCH_EVENTS:
            await self._flush(deposit)
        elif self._lines % _LINES_BETWEEN_YIELDS == 0:
            await asyncio.sleep(0)  # the gateway shares this loop: a long chunk must not delay its frames

    async def _flush(self, deposit: Deposit) -> None:
        if self._end == self._stored:
            return
        await deposit.put(self._batch, offset=None if self._key is None else (self._key, self._end))
        self._stored = self._end
        self._batch = []

    def status(self) -> FileStatus:
        deposit = self._deposit
        form = StdinStatus if self._spec == "-" else FileStatus
        return form(
            source=self._name,
            state="waiting" if deposit and deposit.waiting_for else self._state,
            waiting_for=deposit.waiting_for if deposit else None,
            resumable=self._key is not None,
            resumed_from_bytes=self._resumed_from,
            offset_bytes=self._stored,
            size_bytes=self._size,
            lines=self._lines,
            accepted=deposit.accepted if deposit else 0,
            duplicates=deposit.duplicates if deposit else 0,
            without_time=deposit.without_time if deposit else 0,
            ignored=self._ignored,
            rejected=self._bad + (deposit.conflicts if deposit else 0),
            rejected_file=str(self._rejected.path),
            rejected_waiting=self._rejected.waiting(),
            rejected_lost=self._rejected.not_written,
        )


def _refuse_unreadable(spec: str) -> None:
    """So that a wrong name is refused before anything is started. Raises Usage."""
    try:
        mode = Path(spec).stat().st_mode
        if stat.S_ISDIR(mode):
            raise Usage(f"--source {spec}: is a folder", do="name one file, or `cat` several into --source -")
        if stat.S_ISREG(mode):  # a pipe is not opened before its time: its writer would see a reader go
            Path(spec).open("rb").close()
    except OSError as error:
        raise _unreadable(spec, error) from None


def _unreadable(spec: str, error: OSError) -> Usage:
    return Usage(f"--source {spec}: {error.strerror}", do="name a file that can be read, or - for stdin")


async def _from_file(fd: int, offset: int) -> AsyncGenerator[bytes, None]:
    while chunk := await asyncio.to_thread(os.pread, fd, CHUNK_BYTES, offset):
        offset += len(chunk)
        yield chunk


async def _from_stream(fd: int, *, regular: bool) -> AsyncGenerator[bytes, None]:
    """Chunks as they come. A read starts only when there is something, so that no thread hangs in it when we are cancelled."""
    loop = asyncio.get_running_loop()
    polled = not regular
    while True:
        if polled:
            try:
                await _readable(loop, fd)
            except OSError:  # what can't be polled (/dev/null) does not block either
                polled = False
        try:
            chunk = os.read(fd, CHUNK_BYTES) if polled else await asyncio.to_thread(os.read, fd, CHUNK_BYTES)
        except BlockingIOError:  # another process read it first
            continue
        if not chunk:
            return
        yield chunk


async def _readable(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(fd)
