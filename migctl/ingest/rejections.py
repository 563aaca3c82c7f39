"""The files of what did not fit: STATE_DIR/rejected.ndjson, and beside it what became of its lines, rejected.settled.ndjson.

Both only grow, a line at a time. A line is known by its id, which is also the id of the event that it becomes when it is retried:
a retry that was cut off and comes again is a duplicate in the journal, and nothing is doubled. A line that was written twice over
a crash has one id, and is one.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal
from uuid import uuid5

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from migctl.config.files import make_private_folder, open_private_log, read_own
from migctl.errors import Usage
from migctl.events.ids import NAMESPACE
from migctl.events.jsontext import dumps, read_as
from migctl.events.times import Moment

FILE = "rejected.ndjson"
SETTLED_FILE = "rejected.settled.ndjson"
MAX_TEXT_BYTES = 1 << 20

Outcome = Literal["retried", "ignored", "dismissed"]


class Settled(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a line. event_id, source_id, epoch, seq: of the event that it is now.

    by, reason: of one that a person dismissed.
    """

    id: str
    at: Moment
    outcome: Outcome
    event_id: str | None = None
    source_id: str | None = None
    epoch: str | None = None
    seq: int | None = None
    by: str | None = None
    reason: str | None = None


class Rejection(Struct, frozen=True, kw_only=True):
    """A line as the file has it. at: when it came. offset: of its first byte; None where its source has none.

    text: as it came, or base64 where it is no UTF-8; cut where its size is more.
    """

    at: Moment
    source: str
    offset: int | None
    field: str | None
    code: str
    reason: str
    size: int = msgspec.field(name="bytes")
    id: str = ""
    text: str | None = None
    base64: str | None = None

    @property
    def content(self) -> bytes:
        return self.text.encode() if self.text is not None else base64.b64decode(self.base64 or "")

    @property
    def cut(self) -> bool:
        return self.size > len(self.content)


class Kept(Struct, frozen=True, kw_only=True):
    """A rejection, the number of its line in the file, and what became of it; None while it waits."""

    line: int
    of: Rejection
    settled: Settled | None


class Kepts(Struct, frozen=True, kw_only=True):
    """All that is kept, the oldest first. unreadable: lines that are none, as after a crash in the midst of one."""

    found: list[Kept]
    unreadable: int

    @property
    def waiting(self) -> list[Kept]:
        return [one for one in self.found if one.settled is None]


def read(folder: Path) -> Kepts:
    """Of this state folder; a line that stands there twice is one. Raises Usage and Refused."""
    settled = {one.id: one for one in _settled(folder)}
    found: dict[str, Kept] = {}
    unreadable = 0
    for number, text in _lines(folder / FILE):
        rejection = rejection_of(text)
        if rejection is None:
            unreadable += 1
        elif rejection.id not in found:
            found[rejection.id] = Kept(line=number, of=rejection, settled=settled.get(rejection.id))
    return Kepts(found=list(found.values()), unreadable=unreadable)


def rejection_of(text: bytes) -> Rejection | None:
    """A line of the file; None where it is none. One of an older version gets its id from its text."""
    try:
        found = read_as(text, Rejection)
    except ValueError:
        return None
    if found.id:
        return found
    return replace(found, id=str(uuid5(NAMESPACE, f"rejected\0{text.decode('utf-8', 'replace')}")))


def settle(folder: Path, marks: Iterable[Settled]) -> None:
    """Write down what became of these lines; it outlives a power failure once this returns. Raises OSError."""
    lines = b"".join(dumps(one) + b"\n" for one in marks)
    if not lines:
        return
    make_private_folder(folder)
    with open_private_log(folder / SETTLED_FILE) as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())


def settled_ids(text: bytes) -> Iterator[str]:
    """Of whole lines of the second file."""
    for line in text.split(b"\n"):
        if line:
            try:
                yield read_as(line, Settled).id
            except ValueError:
                continue


def _settled(folder: Path) -> Iterator[Settled]:
    for _, text in _lines(folder / SETTLED_FILE):
        try:
            yield read_as(text, Settled)
        except ValueError:  # torn by a crash: what it spoke of is retried again, and is a duplicate then
            continue


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        text = read_own(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Usage(
            f"{path}: {error.strerror or error}", do="make it readable, or name another: MIGCTL_STATE_DIR"
        ) from None
    for number, line in enumerate(text.split(b"\n"), 1):
        if line:
            yield number, line
