"""What a drill that runs would leave behind if it were killed: noted before it is made, so that the next drill can undo it.

A file for each drill that runs, `STATE_DIR/drills/running/ID.json`. Processes of a drill die with it, however it dies; what stays
is its folder, with the data of its stack, and what it wrote to a project of the operator's own, which only who has the keys of that
project can take out: until then the note stays.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from migctl.config.files import make_private_folder, read_own, write_whole
from migctl.drills.world.deployment import FOLDER_PREFIX
from migctl.drills.world.project import Project, Traces, erase
from migctl.errors import Usage
from migctl.events.jsontext import read_as
from migctl.stack.process import Process

_GONE_S = 15.0


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """One drill. pid, born: of its process. folder: of its deployment; kept: it stays, since the operator asked for it.

    traces: what it has in a project; None: nothing, or nothing any more.
    """

    id: str
    drill: str
    pid: int
    born: str
    folder: str
    kept: bool = False
    traces: Traces | None = None

    @property
    def is_running(self) -> bool:
        return Process(self.pid, self.born).alive


class _Part(msgspec.Struct):
    pid: int
    born: str


def folder_of(state: Path) -> Path:
    return state / "drills" / "running"


class Ledger:
    """Of one drill that runs. `wrote` before it writes to a project, `erased` after. `done` once everything else is undone."""

    def __init__(self, state: Path, left: Left) -> None:
        """Raises OSError where the state folder can't be written."""
        make_private_folder(folder_of(state))
        self._path = folder_of(state) / f"{left.id}.json"
        self._left = left
        self._write()

    def wrote(self, traces: Traces) -> None:
        """Raises OSError: then it may not be written."""
        self._left = msgspec.structs.replace(self._left, traces=traces)
        self._write()

    def erased(self) -> None:
        self._left = msgspec.structs.replace(self._left, traces=None)
        self._write()

    def done(self) -> None:
        """What could not be taken out of a project stays noted."""
        if self._left.traces is None:
            self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        write_whole(self._path, msgspec.json.encode(self._left))


def left_behind(state: Path) -> list[tuple[Path, Left]]:
    """Each drill that noted itself and did not end, whether it still runs or not. Raises Usage for a file that is none of ours."""
    found = []
    for path in sorted(folder_of(state).glob("*.json")):
        try:
            found.append((path, read_as(read_own(path), Left)))
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


def clean(state: Path, project: Project | None = None) -> list[Left]:
    """Undo what drills left that were killed; those of which nothing stays. One that still runs is left alone.

    project: the one that the environment names: what is in another one stays, and stays noted. Raises what `erase` does.
    """
    undone = []
    for path, left in left_behind(state):
        if left.is_running:
            continue
        folder = Path(left.folder)
        _end_parts(folder / "stack" / "processes.json")
        # A note names a folder: nothing is removed that has not the form of one of ours.
        if not left.kept and folder.name.startswith(FOLDER_PREFIX) and _is_ours(folder):
            shutil.rmtree(folder, ignore_errors=True)
        elif (
            not left.kept
            and folder.name.startswith(FOLDER_PREFIX)
            and folder.is_dir()
            and not any(folder.iterdir())
        ):
            folder.rmdir()
        if left.traces is not None:
            if project is None or not project.has(left.traces):
                continue
            erase(project, left.traces)
        path.unlink(missing_ok=True)
        undone.append(left)
    return undone


def _is_ours(folder: Path) -> bool:
    """It has a stack, or the state of a serve."""
    return any((folder / name).exists() for name in ("stack", "state"))


def _end_parts(path: Path) -> None:
    """Parts of its stack: they are about to end by themselves, and must have before their folder goes."""
    import signal

    try:
        parts = read_as(path.read_bytes(), dict[str, _Part])
    except (OSError, msgspec.DecodeError):
        return
    for one in parts.values():
        process = Process(one.pid, one.born)
        if not process.wait_gone(_GONE_S):
            process.signal(signal.SIGKILL)
            process.wait_gone(_GONE_S)
