"""Left out: what a mapping did not take of messages, by field path. STATE_DIR/unmapped.ndjson has a line a minute and source.

The first of a minute is written at once, and the minute's figures once it is over or the source ends; after a kill -9 the last
minute may be counted too low, but is never without a line. Times are passed in, aware UTC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from migctl.config.files import make_private_folder, open_private_log, read_own
from migctl.errors import Usage
from migctl.events.jsontext import dumps, read_as
from migctl.events.times import Moment
from migctl.telemetry import get_logger

FILE = "unmapped.ndjson"
MAX_FILE_BYTES = 64 << 20
MOST_FIELDS = 50
OTHERS = "others"

_log = get_logger("ingest")


class LeftOut(Struct, frozen=True, kw_only=True):
    """A line of the file: of messages that came within this minute. fields: path to how often a value of it was left out."""

    at: Moment
    source: str
    messages: int
    fields: dict[str, int]

    @property
    def values(self) -> int:
        return sum(self.fields.values())


class Leaving:
    """The counts of one source. fields: since the start, the first MOST_FIELDS by name, all else as OTHERS."""

    def __init__(self, state_dir: Path, source: str) -> None:
        self.file = state_dir / FILE
        self._source = source
        self._minute: datetime | None = None
        self._messages = 0
        self._pending: Counter[str] = Counter()
        self.messages = 0
        self.fields: Counter[str] = Counter()

    def add(self, paths: Sequence[str], at: datetime) -> None:
        """One message, whose event is durable, of which these were left out."""
        minute = at.replace(second=0, microsecond=0)
        first = minute != self._minute
        if first:
            self.flush()
            self._minute = minute
        self.messages += 1
        self._messages += 1
        for path in paths:
            name = path if path in self.fields or len(self.fields) < MOST_FIELDS else OTHERS
            self.fields[name] += 1
            self._pending[name] += 1
        if first:
            self.flush()

    def flush(self) -> None:
        """Write down what is not written yet."""
        if not self._messages or self._minute is None:
            return
        line = LeftOut(
            at=self._minute, source=self._source, messages=self._messages, fields=dict(self._pending)
        )
        self._messages, self._pending = 0, Counter()
        try:
            make_private_folder(self.file.parent)
            with open_private_log(self.file) as file:
                if file.tell() < MAX_FILE_BYTES:
                    file.write(dumps(line) + b"\n")
        except OSError as error:
            _log.error(
                "what a mapping leaves out can't be written down", file=str(self.file), error=str(error)
            )


def read(folder: Path) -> list[LeftOut]:
    """Of every source, in order; a line that a crash tore is passed over. Raises Usage where the file can't be read."""
    path = folder / FILE
    found = []
    try:
        lines = read_own(path).split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Usage(f"{path}: {error.strerror or error}", do="make it readable, or move it away") from None
    for line in lines:
        try:
            found.append(read_as(line, LeftOut))
        except ValueError:
            continue
    return found
