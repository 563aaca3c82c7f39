"""What did not fit: STATE_DIR/rejected.ndjson keeps each line as it came, with its reason and where it stood.

The file is bounded; beyond the bound, and where it can't be written, lines are still counted. A line is written before the journal
takes the batch it came with, so after a crash one may stand here twice; `source` and `offset` say that it is the same.
"""

from __future__ import annotations

import base64
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from migctl.config.files import make_private_folder, open_private_log
from migctl.events import BadEvent, format_time
from migctl.events.jsontext import dumps
from migctl.telemetry import get_logger

MAX_FILE_BYTES = 64 << 20
MAX_TEXT_BYTES = 1 << 20

_log = get_logger("ingest")


class Rejected:
    """The file of a state folder and its counts; sources of one process share it."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_FILE_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._size: int | None = None
        self.count = 0
        self.not_written = 0
        self.by_code: Counter[str] = Counter()

    def add(self, text: bytes, error: BadEvent, *, source: str, offset: int | None, at: datetime) -> None:
        """Count a line, and keep it where there is room.

        error: field, code and reason. offset: of the line's first byte; None where the source has none. at: aware UTC.
        """
        self.count += 1
        self.by_code[f"{error.field}:{error.code}" if error.field else error.code] += 1
        if not self._write(_line(text, error, source, offset, at)):
            self.not_written += 1

    def _write(self, line: bytes) -> bool:
        try:
            if self._size is None:
                make_private_folder(self.path.parent)
                self._size = self.path.stat().st_size if self.path.exists() else 0
            if self._size + len(line) > self._max_bytes:
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


def _line(text: bytes, error: BadEvent, source: str, offset: int | None, at: datetime) -> bytes:
    """`text` is the line as it came, `base64` where it is no UTF-8; above MAX_TEXT_BYTES it is cut, and `bytes` is its length."""
    kept = text[:MAX_TEXT_BYTES]
    record: dict[str, Any] = {
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
