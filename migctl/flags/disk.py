"""Disk: the snapshot of one process in its state folder, durable, so that a brake outlives a kill of whoever confirmed it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from migctl.config.files import make_private_folder, write_whole
from migctl.errors import Usage
from migctl.flags.snapshot import Snapshot

NAME = "flags.json"


class SnapshotFile:
    """Of one state folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def read(self, target: str) -> Snapshot:
        """What was kept; empty where nothing was, or where it is another target's. Raises Usage where it can't be read.

        A file that is no snapshot is not passed over: brakes may be in it.
        """
        try:
            found = msgspec.json.decode(self.path.read_bytes(), type=Snapshot)
        except FileNotFoundError:
            return Snapshot(target=target)
        except OSError as error:
            raise Usage(
                f"{self.path}: {error.strerror}", do="make it readable: flags and brakes are in it"
            ) from None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Usage(
                f"{self.path}: this is no snapshot of flags: {error}",
                do="put a copy back; or remove it, and look at `migctl rollout status` first: brakes may have been in it",
            ) from None
        return found if found.target == target else Snapshot(target=target)

    def write(self, snapshot: Snapshot) -> None:
        """Durable when this returns. Raises Usage where it can't be written."""
        try:
            make_private_folder(self.path.parent)
            write_whole(self.path, msgspec.json.encode(snapshot))
        except OSError as error:
            raise Usage(f"{self.path}: {error.strerror}", do="make room, or make it writable") from None
