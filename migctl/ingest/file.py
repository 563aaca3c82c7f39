"""File: events from an NDJSON file, plain or packed, or from stdin.

What was read stands in the journal, in the same transaction as the events, so a file that is read again after kill -9 gives each
line exactly once. stdin and pipes can't be read again, and say so. Memory holds one chunk and one batch; a journal that takes
nothing stops the reading.

A last line without a newline is an event once it is whole; half of one is waited for. What follows a file goes on with the one
that takes its place, and finds after a restart what was rotated away meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncGenerator, Callable
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import asdict

from migctl.clock import mono, now
from migctl.events import BadEvent
from migctl.events.ids import id_of_line
from migctl.ingest.deposit import Deposit, Item, came_of, finish, item_of, losses_of
from migctl.ingest.files import File, Lost, check, find, known_of, unreadable
from migctl.ingest.lines import Line, Lines
from migctl.ingest.mapping import Mapper
from migctl.ingest.reading import Unpackable, of_file, of_stream
from migctl.ingest.rejected import Rejected
from migctl.journal import Journal
from migctl.status import FileStatus, SourceState, StdinStatus
from migctl.telemetry import get_logger

BATCH_EVENTS = 1000
STOP_WITHIN_S = 2.0
POLL_S = 0.2
# Its writer may have it open for a while after it was rotated away.
LINGER_S = 1.0
_LINES_BETWEEN_YIELDS = 64
_BOM = b"\xef\xbb\xbf"
# What a crash leaves where it had no time to write, and what is left of a file made long in advance.
_PADDING = b"\0"

# name: whatever file stands at the path. descriptor: the file that stood there first, wherever it goes.
Follow = Literal["name", "descriptor"]

_log = get_logger("ingest")


class FileSource:
    """`spec`: a path, or `-`. `run` ends at the end of the input.

    follow: it does not end, and is read on as it grows. waits: for the end of a last line that has none; else it is only counted.
    """

    def __init__(
        self,
        spec: str,
        *,
        mapper: Mapper,
        rejected: Rejected,
        follow: Follow | None = None,
        waits: bool = False,
    ) -> None:
        if spec != "-":
            check(spec, follows=follow is not None)
        self._spec = spec
        self._name = "stdin" if spec == "-" else spec
        self._mapper = mapper.named("stdin" if spec == "-" else Path(spec).name or spec)
        self._rejected = rejected
        self._follow = follow
        self._waits = waits
        self._place = f"file:{Path(spec).absolute()}"
        self._deposit: Deposit | None = None
        self._file: File | None = None
        self._batch: list[Item] = []
        self._end = 0
        self._stored = 0
        self._resumed_from = 0
        self._unfinished = 0
        self._size: int | None = None
        self._state: SourceState = "new"
        self._lines = 0
        self._ignored = 0
        self._bad = 0
        self._begun_anew = 0

    async def run(self, journal: Journal) -> None:
        deposit = self._deposit = Deposit(journal, source=self._name, rejected=self._rejected)
        fd = 0 if self._spec == "-" else self._open()
        try:
            await asyncio.to_thread(self._rejected.load)
            async with deposit.summary.beside():
                if self._spec != "-" and stat.S_ISREG(os.fstat(fd).st_mode):
                    await self._read_files(File(os.dup(fd), Path(self._spec).absolute()), journal, deposit)
                else:
                    await self._read_stream(fd, deposit)
            self._state = "finished"
            _log.info("the source has ended", **asdict(self.status()))
        finally:
            if self._state != "finished":
                self._state = "stopped"
            deposit.leaving.flush()
            if fd:
                os.close(fd)

    def _open(self) -> int:
        try:
            return os.open(self._spec, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise unreadable(self._spec, error) from None

    async def _read_stream(self, fd: int, deposit: Deposit) -> None:
        _log.warning(
            "this source can't resume: what it sent before a crash of migctl and was not yet stored is gone",
            source=self._name,
        )
        self._state = "reading"
        regular = stat.S_ISREG(os.fstat(fd).st_mode)
        lines = Lines()
        # What came from a pipe can't be read again, so it is brought to the journal before we go.
        await self._feed(lines, of_stream(fd, regular=regular), deposit, brought_s=STOP_WITHIN_S)
        last = lines.end()
        if last is not None:
            await self._take(last, deposit)
        await self._flush(deposit)

    async def _read_files(self, here: File, journal: Journal, deposit: Deposit) -> None:
        """What stands at the path, and before it what was rotated away since it was read last."""
        files = [here]
        bookmark = await journal.bookmark(self._place)
        known = known_of(bookmark)
        try:
            if bookmark is not None and known is not None:
                try:
                    files = find(here, bookmark, known)
                except Lost as lost:
                    self._began_anew(str(lost))
            if self._follow == "descriptor":
                files[1:] = []
            while files:
                file = files[0]
                replaced = await self._read_file(file, deposit, is_last=len(files) == 1)
                files.pop(0).close()
                if replaced:
                    files = [File.open(Path(self._spec).absolute(), turn=file.turn + 1)]
        finally:
            for file in files:
                file.close()

    async def _read_file(self, file: File, deposit: Deposit, *, is_last: bool) -> bool:
        """To its end; where it is followed, until another stands in its place, which is then True."""
        self._file = file
        self._end = self._stored = self._resumed_from = file.offset
        if file.offset:
            _log.info(
                "reading on where it stopped",
                source=str(file.path),
                offset_bytes=file.offset,
                size_bytes=file.size,
            )
        while True:
            self._state, self._size = "reading", file.size
            before = file.change()
            lines = Lines(offset=self._end)
            file.offset = self._end
            try:
                await self._feed(lines, of_file(file), deposit)
                rest = self._rest_of(lines)
            except Unpackable as error:
                self._refuse(
                    Line(self._end, self._end, b"", 0),
                    BadEvent("", "packed", f"it can't be unpacked further: {error}"),
                )
                return False
            if rest is not None and _is_whole(rest.text):
                await self._take(rest, deposit)
                rest = None
            await self._flush(deposit)
            self._unfinished = rest.size if rest else 0
            ends = await self._until_changed(file, before, rest, is_last=is_last)
            if ends is None:
                continue
            if rest is not None and (ends or not is_last):
                reason = "the line has no end, and another file stands in its place"
                self._end = rest.end
                self._refuse(rest, BadEvent("", "cut", reason))
                await self._flush(deposit)
            return ends

    async def _until_changed(
        self, file: File, before: tuple[int, int], rest: Line | None, *, is_last: bool
    ) -> bool | None:
        """None: there is more to read. False: that was all. True: that was all, and another file stands in its place."""
        if not is_last:
            return None if await self._grows(file, before, LINGER_S if self._follow else 0) else False
        if self._follow is None and not (rest and self._waits):
            if rest is not None:
                _log.warning("the last line has no end, and is not read", source=self._name, bytes=rest.size)
            return False
        self._state = "reading" if rest is None else "waiting"
        while True:
            if file.change() != before:
                if file.has_changed():
                    file.anew()
                    self._end = self._stored = 0
                    self._began_anew("it was cut or written over")
                return None
            if self._follow == "name" and file.is_at(Path(self._spec)) is False:
                return None if await self._grows(file, before, LINGER_S) else True
            await asyncio.sleep(POLL_S)

    async def _grows(self, file: File, before: tuple[int, int], within_s: float) -> bool:
        until = mono() + within_s
        while file.change() == before:
            if mono() >= until:
                return False
            await asyncio.sleep(POLL_S / 4)
        return True

    def _began_anew(self, why: str) -> None:
        self._begun_anew += 1
        _log.warning("the file is read from its beginning, as another one", source=self._name, reason=why)

    async def _feed(
        self,
        lines: Lines,
        chunks: AsyncGenerator[bytes, None],
        deposit: Deposit,
        *,
        brought_s: float | None = None,
    ) -> None:
        async with contextlib.aclosing(chunks):
            async for chunk in chunks:
                work = self._chunk(lines, chunk, deposit)
                await (work if brought_s is None else finish(work, within_s=brought_s))

    def _rest_of(self, lines: Lines) -> Line | None:
        rest = lines.end()
        return rest if rest is not None and rest.text.strip(_PADDING).strip() else None

    async def _chunk(self, lines: Lines, chunk: bytes, deposit: Deposit) -> None:
        for line in lines.feed(chunk):
            await self._take(line, deposit)
        await self._flush(deposit)

    async def _take(self, line: Line, deposit: Deposit) -> None:
        self._lines += 1
        self._end = line.end
        text = line.text.strip(_PADDING)
        if line.offset == 0:
            text = text.removeprefix(_BOM)
        make_id = self._ids(line)
        try:
            if line.cut:
                raise BadEvent(
                    "", "large", f"the line has {line.size} bytes; at most {len(line.text)} are read"
                )
            if text and not text.isspace():
                found = self._mapper.read(text, arrived=now(), make_id=make_id)
                if found.event is None:
                    self._ignored += 1
                else:
                    self._batch.append(item_of(found.event, found, line.text, line.offset))
        except BadEvent as error:
            self._refuse(line, error)
        if len(self._batch) >= BATCH_EVENTS:
            await self._flush(deposit)
        elif self._lines % _LINES_BETWEEN_YIELDS == 0:
            await asyncio.sleep(0)  # the gateway shares this loop: a long chunk must not delay its frames

    def _ids(self, line: Line) -> Callable[[], str] | None:
        if self._file is None:
            return None
        if not self._file.token:
            self._file.begin(line.text)
        return partial(id_of_line, self._file.token, line.offset)

    def _refuse(self, line: Line, error: BadEvent) -> None:
        self._bad += 1
        make_id = self._ids(line)
        self._rejected.add(
            line.text,
            error,
            source=self._name,
            offset=line.offset,
            at=now(),
            id=None if make_id is None else make_id(),
        )

    async def _flush(self, deposit: Deposit) -> None:
        if self._end == self._stored:
            return
        file = self._file
        await deposit.put(self._batch, read=None if file is None else file.bookmark(self._place, self._end))
        self._stored = self._end
        self._batch = []

    def _waiting_for(self) -> str | None:
        return "the end of its last line" if self._state == "waiting" else None

    def status(self) -> FileStatus:
        deposit = self._deposit
        form = StdinStatus if self._spec == "-" else FileStatus
        return form(
            source=self._name,
            state="waiting" if deposit and deposit.waiting_for else self._state,
            waiting_for=deposit.waiting_for if deposit and deposit.waiting_for else self._waiting_for(),
            resumable=self._file is not None,
            resumed_from_bytes=self._resumed_from,
            offset_bytes=self._stored,
            size_bytes=self._size,
            unfinished_bytes=self._unfinished,
            begun_anew=self._begun_anew,
            lines=self._lines,
            **came_of(deposit),
            accepted=deposit.accepted if deposit else 0,
            duplicates=deposit.duplicates if deposit else 0,
            **losses_of(deposit, self._mapper),
            ignored=self._ignored,
            rejected=self._bad + (deposit.conflicts if deposit else 0),
            rejected_file=str(self._rejected.path),
            rejected_waiting=self._rejected.waiting(),
            rejected_lost=self._rejected.not_written,
        )


def _is_whole(text: bytes) -> bool:
    """A message that ends, though its line does not: an object or an array says where it ends."""
    try:
        return isinstance(msgspec.json.decode(text.strip(_PADDING).removeprefix(_BOM)), dict | list)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
