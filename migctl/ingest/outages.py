"""Outages: the times in which a tap did not listen. What the upstream sent in them is lost before us, so they are never hidden.

STATE_DIR/outages.ndjson gets one line when an outage ends: `source, from, to, reason`. STATE_DIR/tap.seen.json says, for each
source, until when its tap was listening and had stored what it heard; so the time in which migctl itself did not run, kill -9
included, is an outage too, known to NOTE_EVERY_S. Where the disk refuses, the outage stays in memory and the log.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from migctl.config.files import make_private_folder, open_private_log, write_whole
from migctl.errors import Usage
from migctl.events import format_time, parse_time
from migctl.events.jsontext import dumps, loads, read_as
from migctl.status import OutagesStatus, OutageStatus
from migctl.telemetry import get_logger

FILE = "outages.ndjson"
NOTE_FILE = "tap.seen.json"
NOTE_EVERY_S = 2.0
KEPT = 100
RECENT_S = 3600.0

_log = get_logger("ingest")


@dataclass(frozen=True, slots=True)
class Outage:
    """ended: None while it lasts."""

    source: str
    began: datetime
    ended: datetime | None
    reason: str

    def status(self) -> OutageStatus:
        return OutageStatus(source=self.source, began=self.began, ended=self.ended, reason=self.reason)

    def document(self) -> dict[str, Any]:
        """A line of the file."""
        return {
            "source": self.source,
            "from": format_time(self.began),
            "to": format_time(self.ended) if self.ended else None,
            "reason": self.reason,
        }


def read(folder: Path) -> list[OutageStatus]:
    """Those of every source that have ended, in order. Raises FileNotFoundError, and Usage with file and line."""
    path = folder / FILE
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            found.append(read_as(line, OutageStatus))
        except ValueError as error:
            raise Usage(f"{path}:{number}: this is no outage: {error}", do="take the line away") from None
    return found


class Outages:
    """The outages of one source. Times are passed in, aware UTC."""

    def __init__(self, state_dir: Path, source: str) -> None:
        self._file = state_dir / FILE
        self._note_file = state_dir / NOTE_FILE
        self._source = source
        self._open: Outage | None = None
        self._noted_at: datetime | None = None
        self.ended: deque[Outage] = deque(maxlen=KEPT)
        self.count = 0
        self.total_s = 0.0

    def resume(self, now: datetime) -> None:
        """At the start: where this source was tapped before, we have not listened since."""
        at, reason = self._read_note()
        if at is not None:
            self._open = Outage(self._source, min(at, now), None, reason)

    def begin(self, at: datetime, reason: str) -> None:
        """We listen no more. Of an outage that lasts already the beginning and the first reason stay."""
        if self._open is None:
            self._open = Outage(self._source, at, None, reason)
            self._write_note(at, reason)
            _log.warning("the tap does not listen", source=self._source, reason=reason)

    def end(self, at: datetime) -> None:
        """We listen (again)."""
        outage, self._open = self._open, None
        if outage is not None:
            self._keep(Outage(outage.source, outage.began, max(at, outage.began), outage.reason))
        self._write_note(at, None)

    def listening(self, at: datetime) -> None:
        """Called while all is well; notes it now and then. at: until when all that was heard is stored."""
        if self._noted_at is None or abs((at - self._noted_at).total_seconds()) >= NOTE_EVERY_S:
            self._write_note(at, None)

    def stop(self, at: datetime) -> None:
        """At an orderly end. An outage that lasts is left to the next start, which ends it."""
        if self._open is None:
            self._write_note(at, "migctl was stopped")

    @property
    def lasting(self) -> Outage | None:
        return self._open

    def status(self, at: datetime) -> OutagesStatus:
        return OutagesStatus(
            recent=sum(
                (at - outage.ended).total_seconds() < RECENT_S for outage in self.ended if outage.ended
            ),
            file=str(self._file),
            count=self.count + (self._open is not None),
            total_s=round(self.total_s, 3),
            lasting=self._open.status() if self._open else None,
            latest=[outage.status() for outage in list(self.ended)[-10:]],
        )

    def _keep(self, outage: Outage) -> None:
        assert outage.ended is not None
        self.ended.append(outage)
        self.count += 1
        self.total_s += (outage.ended - outage.began).total_seconds()
        _log.warning("an outage of the tap has ended", **outage.document())
        try:
            make_private_folder(self._file.parent)
            with open_private_log(self._file) as file:
                file.write(dumps(outage.document()) + b"\n")
        except OSError as error:
            _log.error("the outage can't be written, only logged", file=str(self._file), error=str(error))

    def _read_note(self) -> tuple[datetime | None, str]:
        known = self._all_notes().get(self._source)
        if not isinstance(known, dict):
            return None, ""
        try:
            return parse_time(str(known["at"])), str(known.get("reason") or "migctl did not run")
        except (KeyError, ValueError):
            return None, ""

    def _all_notes(self) -> dict[str, Any]:
        try:
            value = loads(self._note_file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            _log.error(
                "can't tell since when the tap did not listen", file=str(self._note_file), error=str(error)
            )
            return {}
        return value if isinstance(value, dict) else {}

    def _write_note(self, at: datetime, reason: str | None) -> None:
        self._noted_at = at
        everything = {**self._all_notes(), self._source: {"at": format_time(at), "reason": reason}}
        try:
            make_private_folder(self._note_file.parent)
            # Not durable: a note of two seconds ago is as good, and a slow disk must not hold up what is heard.
            write_whole(self._note_file, dumps(everything), durable=False)
        except OSError as error:
            _log.error("can't note until when the tap listened", file=str(self._note_file), error=str(error))
