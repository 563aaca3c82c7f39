"""Disk: what one process keeps of flags in its state folder: its snapshot, durable, so that a brake outlives a kill of whoever
confirmed it; and whom it knows to evaluate flags, so that they are told with the record away too. And what a command keeps there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from migctl.config.files import make_private_folder, read_own, write_whole
from migctl.errors import Refused, Usage
from migctl.events.jsontext import read_as
from migctl.flags.snapshot import Brake, Snapshot

PROCESSES = "flag-processes.json"
OWN_BRAKES = "flag-brakes.json"


def snapshot_path(folder: Path, target: str) -> Path:
    """Of one target: who serves another one from the same folder for a while takes no brakes away."""
    return folder / f"flags-{hashlib.sha256(target.encode()).hexdigest()[:8]}.json"


class SnapshotFile:
    """Of one state folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, target: str) -> Snapshot:
        """What was kept; empty where nothing was. Raises Usage where it can't be read.

        A file that is no snapshot is not passed over: brakes may be in it. Nor one that others could have written: Refused.
        """
        path = snapshot_path(self._folder, target)
        try:
            found = read_as(read_own(path), Snapshot)
        except FileNotFoundError:
            return Snapshot(target=target)
        except OSError as error:
            raise Usage(
                f"{path}: {error.strerror}", do="make it readable: flags and brakes are in it"
            ) from None
        except ValueError as error:
            raise Usage(
                f"{path}: this is no snapshot of flags: {error}",
                do="put a copy back; or remove it, and look at `migctl rollout status` first: brakes may have been in it",
            ) from None
        return found if found.target == target else Snapshot(target=target)

    def write(self, snapshot: Snapshot) -> None:
        """Durable when this returns. Raises Usage where it can't be written."""
        _write(snapshot_path(self._folder, snapshot.target), msgspec.json.encode(snapshot))


class Process(msgspec.Struct, frozen=True):
    """One that evaluates flags, and registered. url: where its `serve` listens; None for one that can't be reached."""

    id: str
    name: str
    url: str | None
    started_at: str
    seen_at: str


class Processes(msgspec.Struct, frozen=True):
    """known: as the record listed them last. mine: ids of this folder's own starts that the record may still list."""

    target: str
    known: tuple[Process, ...] = ()
    mine: tuple[str, ...] = ()


class ProcessesFile:
    """Of one state folder. It is a cache: one that can't be read is empty, and one that others could have written is Refused.

    Whom it names is told of brakes, with our token.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / PROCESSES

    def read(self, target: str) -> Processes:
        try:
            found = read_as(read_own(self._path), Processes)
        except (OSError, ValueError):
            return Processes(target)
        return found if found.target == target else Processes(target)

    def write(self, processes: Processes) -> None:
        """Raises Usage where it can't be written."""
        _write(self._path, msgspec.json.encode(processes))


class _Own(msgspec.Struct, frozen=True):
    target: str
    brakes: tuple[Brake, ...] = ()


class OwnBrakes:
    """Of the commands in one state folder: brakes that nobody has confirmed yet. A serve here does not read them."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / OWN_BRAKES

    def read(self, target: str) -> tuple[Brake, ...]:
        """None that can't be read or believed stands in the way of going down."""
        try:
            found = read_as(read_own(self._path), _Own)
        except (Refused, OSError, ValueError):
            return ()
        return found.brakes if found.target == target else ()

    def write(self, target: str, brakes: Iterable[Brake]) -> None:
        """Raises Usage where they can't be written."""
        _write(self._path, msgspec.json.encode(_Own(target, tuple(brakes))))


def same_processes(a: Sequence[Process], b: Sequence[Process]) -> bool:
    """Whether they are the same ones at the same places, whenever they were seen."""
    return [(one.id, one.name, one.url) for one in a] == [(one.id, one.name, one.url) for one in b]


def _write(path: Path, content: bytes) -> None:
    try:
        make_private_folder(path.parent)
        write_whole(path, content)
    except OSError as error:
        raise Usage(f"{path}: {error.strerror}", do="make room, or make it writable") from None
