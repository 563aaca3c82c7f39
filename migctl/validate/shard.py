"""Shard: one process's share of a report. Reads all files in step, counts the ids that are its own.

A job comes as JSON on stdin and leaves as JSON on stdout, so that a shard can be run anywhere a file can be read, and a parent with
threads or an event loop need not fork. What a journal's own file looks like is not known here: who does brings the reader.
"""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from migctl.errors import Usage
from migctl.events import Entry, encode_entry
from migctl.status.losses import SourceLosses
from migctl.validate.join import Join
from migctl.validate.kinds import TRANSPORTS, Side
from migctl.validate.lines import BLOCK_BYTES, Block, blocks
from migctl.validate.settle import Settler
from migctl.validate.tally import Examples, Tally
from migctl.validate.window import Window

_SQLITE = b"SQLite format 3\0"


# All entries of a journal's own file, oldest first.
ReadJournal = Callable[[Path], Iterator[Entry]]


@dataclass(frozen=True, slots=True)
class JournalReader:
    """How a journal's own file is read: here, and in the processes of a report, each of which runs this module.

    losses: what sources lost before the journal, as the state folder has it that this journal lies in; None where it is none.
    """

    read: ReadJournal
    shard_module: str
    losses: Callable[[Path, datetime | None, datetime | None], SourceLosses | None] = lambda *_: None


def no_journal(path: Path) -> Iterator[Entry]:
    """The reader of those who have none."""
    raise Usage(
        f"{path}: a journal's own file, and only exports are read here",
        do="export it: `migctl journal export`",
    )


def exports_only() -> JournalReader:
    return JournalReader(no_journal, shard_module=__name__)


class Input(msgspec.Struct):
    """One file. size: bytes that are read of it, for it may still be growing; a journal's database is read whole."""

    side: Side
    path: Path
    size: int
    is_database: bool = False


class Job(msgspec.Struct):
    """excused: (epoch, seq) of the journal that are not expected: `duplicate_of` tombstones."""

    inputs: list[Input]
    window: Window
    late_after_s: float
    examples: int
    shard: int
    shards: int
    memory_bytes: int
    block_bytes: int = BLOCK_BYTES
    excused: list[tuple[str, int]] = []
    discrepancies: Path | None = None


class Failure(msgspec.Struct):
    """A file that can't be used. line: 0 where it is the file as a whole."""

    what: str
    do: str
    line: int = 0


class Outcome(msgspec.Struct):
    """What comes back: a tally or a failure."""

    tally: Tally | None = None
    failure: Failure | None = None


def is_database(path: Path) -> bool:
    """Whether this is a journal's SQLite file rather than an export of one."""
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def run(job: Job, read: ReadJournal = no_journal) -> Tally:
    """Do one shard's work in this process. read: for a journal's own file. Raises Usage for a file that can't be used."""
    tally = Tally()
    paths = {each.side: each.path for each in job.inputs}
    out = job.discrepancies.open("wb") if job.discrepancies is not None else None
    try:
        write = None
        if out is not None:
            encode, file = msgspec.json.Encoder().encode, out

            def write(details: dict[str, object]) -> None:
                file.write(encode(details) + b"\n")

        settler = Settler(
            tally,
            examples := Examples(job.examples, write),
            has_journal=Side.JOURNAL in paths,
            compared=tuple(side for side in TRANSPORTS if side in paths),
            window=job.window,
            late_after_s=job.late_after_s,
            excused=frozenset(job.excused),
            paths=paths,
        )
        with TemporaryDirectory(prefix="migctl-report-") as folder:
            join = Join(
                settler,
                tally,
                sides=tuple(sorted(paths)),
                paths=paths,
                shard=job.shard,
                shards=job.shards,
                memory_bytes=job.memory_bytes,
                folder=Path(folder),
            )
            try:
                _read_in_step(join, job, read)
                join.finish()
            finally:
                join.close()
        tally.examples = examples.take()
    finally:
        if out is not None:
            out.close()
    return tally


class _Reader:
    """One file on its way: how far it is, to keep it in step with the others."""

    def __init__(self, source: Input, read: ReadJournal, block_bytes: int) -> None:
        self.side = source.side
        self.blocks = (
            _database_blocks(read(source.path))
            if source.is_database
            else blocks(source.path, source.size, block_bytes=block_bytes)
        )
        self.size = max(1, source.size)
        self.bytes_read = 0
        self.epoch: str | None = None
        self.seq = 0
        self.started = False


def _read_in_step(join: Join, job: Job, read: ReadJournal) -> None:
    """Always read on where the stream is furthest behind: by seq within one epoch, else by the share of the file."""
    readers = [_Reader(source, read, job.block_bytes) for source in job.inputs]
    while readers:
        fresh = [reader for reader in readers if not reader.started]
        if fresh:
            reader = fresh[0]
        elif len({reader.epoch for reader in readers}) == 1:
            reader = min(readers, key=lambda each: each.seq)
        else:
            reader = min(readers, key=lambda each: each.bytes_read / each.size)
        block = next(reader.blocks, None)
        if block is None:
            readers.remove(reader)
            continue
        reader.started = True
        reader.bytes_read += block.size
        reader.epoch, reader.seq = join.feed(reader.side, block.number, block.lines)


def _database_blocks(entries: Iterator[Entry]) -> Iterator[Block]:
    number = 1
    while lines := [encode_entry(entry) + b"\n" for entry in islice(entries, 2000)]:
        yield Block(number, lines, sum(map(len, lines)))
        number += len(lines)


def main(read: ReadJournal = no_journal) -> int:
    """The child's side: a job on stdin, an outcome on stdout. read: for a journal's own file."""
    # Ctrl-C is the parent's to answer; it ends us when it goes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Nothing here is cyclic, and the collector would walk the table of ids again and again.
    gc.disable()
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job, dec_hook=_to_path)
    try:
        outcome = Outcome(tally=run(job, read))
    except Usage as error:
        outcome = Outcome(failure=Failure(error.what, error.do, getattr(error, "number", 0)))
    sys.stdout.buffer.write(encode_message(outcome))
    sys.stdout.buffer.flush()
    return 0


def encode_message(message: Job | Outcome) -> bytes:
    """A job or an outcome as it travels between processes."""
    return msgspec.json.encode(message, enc_hook=str)


def _to_path(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value))
    raise TypeError(f"a job has no {kind}")


if __name__ == "__main__":
    sys.exit(main())
