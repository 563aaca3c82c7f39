"""What did not fit: STATE_DIR/rejected.ndjson keeps each line as it came, with its reason and where it stood.

The file is bounded. Once it is full and nothing in it waits any more it makes room, and stays beside as rejected.1.ndjson; while
something waits, and where it can't be written, lines are still counted. A line is written before the journal
takes the batch it came with, so after a crash one may stand here twice; its id says that it is the same.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from migctl.config.files import make_private_folder, open_private_log
from migctl.events import BadEvent, format_time, parse_time
from migctl.events.ids import uuid7
from migctl.events.jsontext import dumps, loads
from migctl.ingest.rejections import MAX_TEXT_BYTES, SETTLED_FILE, rejection_of, settled_ids
from migctl.telemetry import get_logger

MAX_FILE_BYTES = 64 << 20
MAX_FOUND_BYTES = 4 << 20

_log = get_logger("ingest")


class Rejected:
    """The file of a state folder and its counts; sources of one process share it. not_written: of count, those only counted."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_FILE_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._size: int | None = None
        self._waiting: set[str] | None = None
        self._settled: set[str] = set()
        self._settled_bytes = 0
        self.count = 0
        self.not_written = 0
        self.by_code: Counter[str] = Counter()

    def add(
        self,
        text: bytes,
        error: BadEvent,
        *,
        source: str,
        offset: int | None,
        at: datetime,
        id: str | None = None,
    ) -> None:
        """Count a line, and keep it where there is room.

        error: field, code and reason. offset: of the line's first byte; None where the source has none. at: aware UTC.
        id: that its event would have had if it names none of its own; the same again for a line that may be read again.
        """
        self.count += 1
        self.by_code[f"{error.field}:{error.code}" if error.field else error.code] += 1
        id = id or uuid7()
        if not self._write(_line(text, error, source, offset, at, id)):
            self.not_written += 1
        elif self._waiting is not None and id not in self._settled:
            self._waiting.add(id)

    def load(self) -> None:
        """Read what is kept from before; it may be large, so call it where nothing waits."""
        found = set()
        with contextlib.suppress(OSError), self.path.open("rb") as file:
            found = {one.id for line in file if (one := rejection_of(line)) is not None}
        self._waiting = found
        self._settled, self._settled_bytes = set(), 0

    def waiting(self) -> int:
        """Lines that are kept, of earlier runs too, and that nobody has retried or dismissed."""
        if self._waiting is None:
            self.load()
        assert self._waiting is not None
        self._follow()
        return len(self._waiting)

    def _follow(self) -> None:
        """What a command has settled meanwhile; whole lines only, for it may still be writing."""
        path = self.path.with_name(SETTLED_FILE)
        try:
            if path.stat().st_size <= self._settled_bytes:
                return
            with path.open("rb") as file:
                file.seek(self._settled_bytes)
                text = file.read()
        except OSError:
            return
        text = text[: text.rfind(b"\n") + 1]
        self._settled_bytes += len(text)
        self._settled.update(settled_ids(text))
        if self._waiting is not None:
            self._waiting -= self._settled

    def _write(self, line: bytes) -> bool:
        try:
            if self._size is None:
                make_private_folder(self.path.parent)
                self._size = self.path.stat().st_size if self.path.exists() else 0
            if self._size + len(line) > self._max_bytes and not self._made_room():
                if self.not_written == 0:
                    _log.warning(
                        "rejected lines are only counted from here",
                        file=str(self.path),
                        max_bytes=self._max_bytes,
                    )
                return False
            with open_private_log(self.path) as file:
                file.write(line)
        except OSError as error:
            if self.not_written == 0:
                _log.error(
                    "rejected lines can't be kept, only counted", file=str(self.path), error=str(error)
                )
            return False
        self._size += len(line)
        return True

    def _made_room(self) -> bool:
        """Whether all of a full file was settled, so that it could be put aside. Raises OSError."""
        if self.waiting():
            return False
        for path in (self.path.with_name(SETTLED_FILE), self.path):
            with contextlib.suppress(FileNotFoundError):
                path.replace(path.with_name(path.name.replace(".ndjson", ".1.ndjson")))
        self._size = 0
        self._settled, self._settled_bytes = set(), 0
        return True


def find(path: Path, text: str) -> tuple[datetime, str] | None:
    """When the newest line that has this text in it did not fit, and why; of the file's end, which is all that is read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - MAX_FOUND_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return None
    # As the file has it: in a JSON text, inside another one.
    wanted = json.dumps(text, ensure_ascii=False)
    wanted = json.dumps(wanted, ensure_ascii=False)[1:-1]
    for line in reversed(lines):
        if wanted.encode("utf-8", "replace") in line:
            try:
                record = loads(line)
                return parse_time(str(record["at"])), f"{record['code']}: {record['reason']}"
            except (ValueError, KeyError, TypeError):
                continue
    return None


def _line(text: bytes, error: BadEvent, source: str, offset: int | None, at: datetime, id: str) -> bytes:
    """`text` is the line as it came, `base64` where it is no UTF-8; above MAX_TEXT_BYTES it is cut, and `bytes` is its length."""
    kept = text[:MAX_TEXT_BYTES]
    record: dict[str, Any] = {
        "id": id,
        "at": format_time(at),
        "source": source,
        "offset": offset,
        "field": error.field or None,
        "code": error.code,
        "reason": error.reason,
        "bytes": len(text),
    }
    try:
        record["text"] = kept.decode()
    except UnicodeDecodeError:
        record["base64"] = base64.b64encode(kept).decode()
    return dumps(record) + b"\n"
