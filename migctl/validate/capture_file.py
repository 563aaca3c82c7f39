"""The files of one capture: `DIR/<transport>.ndjson`, whole lines only, and `DIR/<transport>.summary.json` when it is over."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from migctl.config.files import PRIVATE_FILE, make_private_folder, write_whole
from migctl.errors import MigctlError, Refused, Systemic, Usage
from migctl.subscriber.core.release import Release, encode_release
from migctl.subscriber.core.server_clock import Behind


class Place(msgspec.Struct, frozen=True):
    """A position, as an object."""

    epoch: str
    seq: int


class Jump(msgspec.Struct, frozen=True, kw_only=True):
    """A discontinuity that was handed out."""

    after: Place | None
    resumed: Place | None
    reason: str
    lost_from: int | None
    lost_to: int | None


class CaptureSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a capture. Times are texts; ready_at is None where it was stopped before. from, to: positions.

    complete: nothing is to be excused of what it lacks. reason: why it ended. clock: of the receiver, against that of serve, where
    its transport tells.
    """

    schema: Literal["migctl.capture/1"] = "migctl.capture/1"
    transport: Literal["websocket", "realtime", "dual", "legacy"]
    role: str
    started_at: str | None
    ready_at: str | None
    stop_requested_at: str | None
    ended_at: str
    began: Place | None = msgspec.field(name="from")
    reached: Place | None = msgspec.field(name="to")
    received: int
    repeats_dropped: int
    gaps_repaired: int
    reconnects: int
    discontinuities: list[Jump]
    complete: bool
    reason: str
    clock: Behind | None = None


class CaptureFile:
    """Open for one capture. What `write` returned from is with the operating system; kill -9 does not lose it."""

    def __init__(self, folder: Path, transport: str) -> None:
        self.path = folder / f"{transport}.ndjson"
        self.summary_path = folder / f"{transport}.summary.json"
        self.lines = 0
        self._whole_bytes = 0
        self._descriptor: int | None = None

    def check(self, *, force: bool) -> None:
        """Make the folder, and see that no capture is in the way. force: remove the one that is.

        Raises Refused, Usage.
        """
        try:
            if not self.path.parent.exists():  # one that is there is as its owner wants it
                make_private_folder(self.path.parent)
            for path in (self.summary_path, self.path):
                if force:
                    path.unlink(missing_ok=True)
                elif path.exists():
                    raise self._occupied(path)
        except OSError as error:
            raise self._unusable(error) from None
        if not os.access(self.path.parent, os.W_OK | os.X_OK):
            raise self._unusable(PermissionError(errno.EACCES, os.strerror(errno.EACCES)))

    def open(self) -> None:
        """Begin the file. Raises Refused where another capture has begun it meanwhile, Usage where it can't be made."""
        try:
            self._descriptor = os.open(
                self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, PRIVATE_FILE
            )
        except FileExistsError:
            raise self._occupied(self.path) from None
        except OSError as error:
            raise self._unusable(error) from None

    def write(self, releases: Sequence[Release]) -> None:
        """Append a line each. Raises Systemic where the disk does not take them; the file then ends with a whole line."""
        if releases:
            self.append([encode_release(release) for release in releases], str(releases[0].position))

    def append(self, lines: Sequence[bytes], first: str = "the next") -> None:
        """The same of texts. first: the name of the first of them."""
        if self._descriptor is None:
            return
        text = b"".join([line + b"\n" for line in lines])
        left = memoryview(text)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._whole_bytes)
            raise self._not_written(error, first) from error
        self._whole_bytes += len(text)
        self.lines += len(lines)

    def finish(self, summary: CaptureSummary) -> None:
        """Make the lines durable and put the summary beside them, whole or not at all. Raises Systemic."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            write_whole(
                self.summary_path,
                json.dumps(msgspec.to_builtins(summary), indent=2, ensure_ascii=False) + "\n",
            )
        except OSError as error:
            raise Systemic(
                f"{self.summary_path}: {error.strerror}: the capture has {self.lines} lines and no summary",
                do="make room on the disk; a report takes a capture without summary as one that covers everything",
            ) from error

    def _occupied(self, path: Path) -> MigctlError:
        return Refused(
            f"{path} is there already", do="give another folder with --out, or replace it with --force"
        )

    def _unusable(self, error: OSError) -> MigctlError:
        where = error.filename or self.path.parent
        return Usage(f"{where}: {error.strerror}", do="give a folder that can be written with --out")

    def _not_written(self, error: OSError, first: str) -> MigctlError:
        return Systemic(
            f"{self.path}: {error.strerror}: {self.lines} lines are written, {first} is the first that is not",
            do="make room on the disk and start a new capture; the lines that are there are whole",
        )
