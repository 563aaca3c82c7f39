"""A disk that can be full: a small file system of memory over one folder, for those who enter it. The machine's own is let be.

Nothing stands in for an error here: the kernel itself has no room for whoever writes there, and says so (ENOSPC).
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import sys
from pathlib import Path

from migctl.errors import Transient
from migctl.faults.lacking import Lacking
from migctl.faults.mounting import MADE
from migctl.stack.launcher import launch
from migctl.stack.process import wait_until

_SCRIPT = Path(__file__).with_name("mounting.py")
_MADE_S = 10.0
_FILLER = "filler"


class SmallDisk:
    """Over `folder`, from its construction until `discard`, and no longer than this process lives. In the main thread."""

    def __init__(self, folder: Path, size_bytes: int, log: Path) -> None:
        """folder: made where it is not there; for who did not enter it stays empty. log: of the process that keeps it.

        Raises Lacking where this machine lets us mount nothing.
        """
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._keeper = launch(
            [*_script(), "make", str(self.folder), str(size_bytes)], log=log, death=signal.SIGKILL
        )
        wait_until(lambda: MADE in self._keeper.log_tail() + "\n" or not self._keeper.alive, _MADE_S)
        if MADE not in self._keeper.log_tail() + "\n":
            words = self._keeper.log_tail(lines=1)
            self.discard()
            raise Lacking(
                f"no small file system could be made, so no disk can be full: {words or 'no answer in time'}",
                do="run it as root, or allow user namespaces "
                "(sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0)",
            )

    @property
    def entering(self) -> list[str]:
        """What a program that is started from this process is put behind, so that it sees the disk."""
        return [*_script(), "enter", str(self._keeper.pid)]

    @property
    def inside(self) -> Path:
        """The folder as those see it that entered: a path that others can use too, while the disk is there."""
        return Path(f"/proc/{self._keeper.pid}/root{self.folder}")

    @property
    def free_bytes(self) -> int:
        """Raises Transient where the disk is there no more."""
        try:
            found = os.statvfs(self.inside)
        except OSError as error:
            raise self._gone(error) from None
        return found.f_bavail * found.f_frsize

    def fill(self, *, leave: int = 0) -> int:
        """Take all the room there is but `leave` bytes, whoever else takes some meanwhile; how many bytes that was.

        Raises Transient where the disk is there no more.
        """
        try:
            place = os.open(self.inside / _FILLER, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._gone(error) from None
        try:
            return self._take_all(place, leave)
        finally:
            os.close(place)

    def _take_all(self, place: int, leave: int) -> int:
        taken, wanted = 0, self.free_bytes - leave
        while wanted > 0:
            try:
                os.posix_fallocate(place, taken, wanted)
            except OSError:  # some of it is gone already
                wanted = min(wanted // 2, self.free_bytes - leave)
                continue
            taken, wanted = taken + wanted, self.free_bytes - leave
        return taken

    def empty(self) -> None:
        """Give back what `fill` took."""
        (self.inside / _FILLER).unlink(missing_ok=True)

    def bring_out(self) -> None:
        """Copy what is on it to where it seemed to be, for who reads it afterwards. Nobody may write any more."""
        if self._keeper.alive:
            shutil.copytree(self.inside, self.folder, ignore=_no_files, dirs_exist_ok=True)

    def _gone(self, error: OSError) -> Transient:
        return Transient(f"the small file system over {self.folder}: {error.strerror}", do="run it again")

    def discard(self) -> None:
        """It is gone, once those that entered have ended."""
        self._keeper.stop(signal.SIGKILL, 5)


def _script() -> list[str]:
    return [sys.executable, "-I", "-S", str(_SCRIPT), str(os.getpid())]


def _no_files(folder: str, names: list[str]) -> set[str]:
    kinds = {name: (Path(folder) / name).lstat().st_mode for name in names}
    return {name for name, mode in kinds.items() if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)}
