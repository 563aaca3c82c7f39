"""What a drill that runs would leave behind if it were killed: noted before it is made, so that the next drill can undo it.

A file for each drill that runs, `STATE_DIR/drills/running/ID.json`. Processes of a drill die with it, however it dies; what stays
is its folder, with the data of its stack.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from migctl.config.files import make_private_folder, read_own, write_whole
from migctl.drills.world.deployment import FOLDER_PREFIX
from migctl.errors import Usage
from migctl.stack.process import Process

_GONE_S = 15.0


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """One drill. pid, born: of its process. folder: of its deployment; kept: it stays, since the operator asked for it."""

    id: str
    drill: str
    pid: int
    born: str
    folder: str
    kept: bool = False

    @property
    def is_running(self) -> bool:
        return Process(self.pid, self.born).alive


class _Part(msgspec.Struct):
    pid: int
    born: str


def folder_of(state: Path) -> Path:
    return state / "drills" / "running"


class Ledger:
    """Of one drill that runs. `done` once everything is undone."""

    def __init__(self, state: Path, left: Left) -> None:
        """Raises OSError where the state folder can't be written."""
        make_private_folder(folder_of(state))
        self._path = folder_of(state) / f"{left.id}.json"
        write_whole(self._path, msgspec.json.encode(left))

    def done(self) -> None:
        self._path.unlink(missing_ok=True)


def left_behind(state: Path) -> list[tuple[Path, Left]]:
    """Each drill that noted itself and did not end, whether it still runs or not. Raises Usage for a file that is none of ours."""
    found = []
    for path in sorted(folder_of(state).glob("*.json")):
        try:
            found.append((path, msgspec.json.decode(read_own(path), type=Left)))
        except FileNotFoundError:
            continue
        except (OSError, msgspec.DecodeError) as error:
            raise Usage(f"{path}: this is no note of a drill: {error}", do="take it away") from None
    return found


def ours(drill_id: str, name: str, folder: Path, *, kept: bool) -> Left:
    """The note of this process."""
    me = Process.of(os.getpid())
    assert me is not None
    return Left(id=drill_id, drill=name, pid=me.pid, born=me.born, folder=str(folder), kept=kept)


def clean(state: Path) -> list[Left]:
    """Undo what drills left that were killed; those. One that still runs is left alone."""
    undone = []
    for path, left in left_behind(state):
        if left.is_running:
            continue
        folder = Path(left.folder)
        _end_parts(folder / "stack" / "processes.json")
        # A note names a folder: nothing is removed that has not the form of one of ours.
        if not left.kept and folder.name.startswith(FOLDER_PREFIX) and (folder / "stack").exists():
            shutil.rmtree(folder, ignore_errors=True)
        elif (
            not left.kept
            and folder.name.startswith(FOLDER_PREFIX)
            and folder.is_dir()
            and not any(folder.iterdir())
        ):
            folder.rmdir()
        path.unlink(missing_ok=True)
        undone.append(left)
    return undone


def _end_parts(path: Path) -> None:
    """Parts of its stack: they are about to end by themselves, and must have before their folder goes."""
    import signal

    try:
        parts = msgspec.json.decode(path.read_bytes(), type=dict[str, _Part])
    except (OSError, msgspec.DecodeError):
        return
    for one in parts.values():
        process = Process(one.pid, one.born)
        if not process.wait_gone(_GONE_S):
            process.signal(signal.SIGKILL)
            process.wait_gone(_GONE_S)
