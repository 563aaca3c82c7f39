"""The audit of what operators change in a running `serve`: a line each in `STATE_DIR/ctl.ndjson`, on disk before it is confirmed.

For the log of the program too, which is another file and another reader's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import msgspec

from migctl import clock
from migctl.config.files import make_private_folder, open_private_log, read_own
from migctl.events.jsontext import read_as
from migctl.events.times import Moment
from migctl.telemetry import get_logger

FILE = "ctl.ndjson"

# dropped: a setting that no longer goes with those of a new stage.
Act = Literal["set", "unset", "dropped", "throttle", "no-throttle", "revoke"]

_log = get_logger("ctl")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One change. name: of the setting, or of a token; None for the throttle. before, after: what was in force, and what is."""

    at: Moment
    by: str
    act: Act
    name: str | None = None
    before: Any
    after: Any
    reason: str = ""


class ChangeLog:
    """Of one state folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def add(self, *, by: str, act: Act, name: str | None, before: Any, after: Any, reason: str) -> None:
        """Raises OSError where it can't be kept; it is in the log in any case."""
        _log.warning(
            f"ctl {act}", **({"name": name} if name is not None else {}), by=by, before=before, after=after, reason=reason
        )  # fmt: skip
        entry = Entry(at=clock.now(), by=by, act=act, name=name, before=before, after=after, reason=reason)
        make_private_folder(self._path.parent)
        with open_private_log(self._path) as file:
            file.write(msgspec.json.encode(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())


def read_changes(folder: Path) -> list[Entry]:
    """All of them, oldest first; a line that a crash left half written is passed over."""
    try:
        lines = read_own(folder / FILE).splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(read_as(line, Entry))
        except ValueError:
            continue
    return found
