"""The witness's place in the state folder: what it says of itself, the windows that are not in the table yet, whose place it is.

All of it outlives kill -9: a window is in the file before it is sent, and leaves the file once the table has it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import msgspec

from migctl.config.files import make_state_folder, open_own, open_private_log, read_own, write_whole
from migctl.errors import Refused
from migctl.events.jsontext import read_as
from migctl.status import WitnessStatus
from migctl.telemetry import get_logger
from migctl.validate.witness.minute import Minute
from migctl.validate.witness.trouble import Bounds

STATE = "witness.json"
BOUNDS = "evidence-bounds.json"
KEPT = "evidence.ndjson"
LOCK = "witness.lock"
# A week of minutes.
MOST_KEPT = 10_080

log = get_logger("witness")


def read_state(folder: Path) -> WitnessStatus | None:
    """What the witness of this state folder said last; None where it never did, or what stands there can't be read or believed."""
    try:
        return read_as(read_own(folder / STATE), WitnessStatus)
    except (OSError, ValueError, Refused):
        return None


def write_state(folder: Path, status: WitnessStatus) -> None:
    """Say it. A full disk is logged: who watches goes on watching."""
    try:
        write_whole(folder / STATE, msgspec.json.encode(status), durable=False)
    except OSError as error:
        log.warning("the witness's state can't be written", reason=error.strerror)


def read_bounds(folder: Path, otherwise: Bounds) -> Bounds:
    """What the `serve` that keeps this witness asks of a window now; `otherwise` where that can't be read or believed."""
    try:
        return read_as(read_own(folder / BOUNDS), Bounds)
    except (OSError, ValueError, Refused):
        return otherwise


def write_bounds(folder: Path, bounds: Bounds) -> None:
    """For the witness, which is a process of its own. Raises OSError."""
    make_state_folder(folder)
    write_whole(folder / BOUNDS, msgspec.json.encode(bounds), durable=False)


@contextlib.contextmanager
def holding(folder: Path, *, lock: str = LOCK) -> Iterator[str | None]:
    """The name of this folder's witness, for as long as the block lasts; None where another process is it.

    Raises OSError, and Refused, Usage for a folder that is not ours alone.

    lock: the file that says who it is; a folder has one for each thing that it does once. The name is of the
    folder: who takes over after a kill has the lease at once.
    """
    make_state_folder(folder)
    with os.fdopen(open_own(folder / lock, os.O_RDWR | os.O_CREAT), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        name = file.read(200).strip()
        if not name:
            name = f"{socket.gethostname()}-{uuid4().hex[:12]}"
            file.seek(0)
            file.write(name)
            file.flush()
        yield name


class Kept:
    """Windows that are not in the table yet, in order. most: of them; beyond it the oldest are dropped, and counted."""

    def __init__(self, folder: Path, *, most: int = MOST_KEPT) -> None:
        self._path = folder / KEPT
        self._most = most
        self.dropped = 0
        self._minutes = self._read()

    def __len__(self) -> int:
        return len(self._minutes)

    def add(self, minute: Minute) -> None:
        """Raises nothing: where the file can't be written it is kept in memory, and that is logged."""
        self._minutes.append(minute)
        if len(self._minutes) > self._most:
            self.dropped += len(self._minutes) - self._most
            log.warning("evidence dropped: too much waits for the table", dropped=self.dropped)
            self._minutes = self._minutes[-self._most :]
            self._rewrite()
            return
        try:
            with open_private_log(self._path) as file:
                file.write(msgspec.json.encode(minute) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            log.warning("evidence can't be kept on disk", window=minute.id, reason=error.strerror)

    def first(self, count: int) -> Sequence[Minute]:
        return tuple(self._minutes[:count])

    def written(self, minutes: Sequence[Minute]) -> None:
        """The table has these."""
        done = {minute.id for minute in minutes}
        self._minutes = [minute for minute in self._minutes if minute.id not in done]
        self._rewrite()

    def _rewrite(self) -> None:
        try:
            lines = b"".join(msgspec.json.encode(minute) + b"\n" for minute in self._minutes)
            write_whole(self._path, lines)
        except OSError as error:
            log.warning("kept evidence can't be rewritten", reason=error.strerror)

    def _read(self) -> list[Minute]:
        """A torn line is what a killed witness left; it was never said to be kept."""
        found: list[Minute] = []
        try:
            lines = read_own(self._path).splitlines()
        except OSError:
            return found
        for line in lines:
            with contextlib.suppress(ValueError):
                found.append(read_as(line, Minute))
        return found
