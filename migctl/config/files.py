"""Files of ours: for their owner alone, and written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from migctl.errors import Refused, Usage

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
STATE_FOLDER = ".migctl"


def make_private_folder(folder: Path) -> None:
    """Make the folder, and what it lies in, for the owner alone. Raises OSError.

    One that is there already and that others could read is mended where it is ours alone: it is called `.migctl`, or nothing is in
    it yet. Any other (a home folder, a checkout) stays as it is, as do those above it: what we write into it is private by itself.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    for one in missing:
        one.chmod(PRIVATE_FOLDER)
    if not missing:
        _mend(folder)


def make_state_folder(folder: Path) -> None:
    """The state folder, made and mended as any private one. Whoever may write into it could take the place of our files.

    Raises Refused where that is somebody else, and Usage where it can't be made.
    """
    try:
        make_private_folder(folder)
        found = folder.stat()
    except OSError as error:
        raise Usage(
            f"{folder}: {error.strerror or error}",
            do="name a folder that you can write to: MIGCTL_STATE_DIR=PATH",
        ) from None
    refuse_shared(folder, found)


def check_state_folder(folder: Path) -> None:
    """The same for who only reads there, or asks who serves it; one that is not there is nobody's. Raises Refused."""
    with contextlib.suppress(OSError):  # who then opens what is in it says why that can't be
        refuse_shared(folder, folder.stat())


def refuse_shared(folder: Path, found: os.stat_result) -> None:
    """Raises Refused where somebody else has this state folder, or may write into it."""
    if found.st_uid != os.geteuid():
        raise Refused(
            f"{folder}: the state folder belongs to another user (uid {found.st_uid}, and this is {os.geteuid()})",
            do=f"run as that user, or name a folder of your own: MIGCTL_STATE_DIR={folder.absolute() / STATE_FOLDER}",
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Refused(
            f"{folder}: other users can write to the state folder (mode {stat.S_IMODE(found.st_mode):04o})",
            do=f"chmod go-w {folder}, or name a folder of its own: MIGCTL_STATE_DIR={folder.absolute() / STATE_FOLDER}",
        )


def read_own(path: Path) -> bytes:
    """What a file of the state folder holds, or of a folder of ours in it. What another user could have put there is not believed.

    Raises OSError, and Refused where the folder or the file is somebody else's, or open to others' writing.
    """
    check_state_folder(path.parent)
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        # What root put there, as from a backup, is as good as ours.
        if found.st_uid not in (os.geteuid(), 0) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Refused(
                f"{path}: another user could have written it (uid {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o})",
                do="see what is in it; if it is yours, make it so: chown it to the user that runs this, and chmod 600",
            )
        return file.read()


def _mend(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = os.fstat(opened)
        if found.st_uid != os.geteuid() or not found.st_mode & 0o077 or found.st_mode & stat.S_ISVTX:
            return
        with os.scandir(opened) as inside:
            used = any(inside)
        if folder.resolve().name == STATE_FOLDER or not used:
            os.fchmod(opened, PRIVATE_FOLDER)
    finally:
        os.close(opened)


def mend_private_tree(folder: Path, *, but: Collection[str] = ()) -> None:
    """Take from group and others what they may do in this folder and below, where it is ours. Raises OSError.

    but: names of folders that look after themselves. Links are left as they are, and never followed.
    """
    for where, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if name not in but]
        for name in (".", *files):
            path = Path(where, name)
            with contextlib.suppress(FileNotFoundError):  # somebody tidies up meanwhile
                found = path.lstat()
                if (
                    found.st_uid == os.geteuid()
                    and found.st_mode & 0o077
                    and (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))
                ):
                    path.chmod(stat.S_IMODE(found.st_mode) & 0o700)


def open_private_log(path: Path) -> BinaryIO:
    """A file that is written to at its end, for the owner alone; one of ours that others could read is mended. Raises OSError."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
    found = os.fstat(file)
    if found.st_uid == os.geteuid() and stat.S_ISREG(found.st_mode) and found.st_mode & 0o077:
        os.fchmod(file, PRIVATE_FILE)
    return os.fdopen(file, "ab")


def _raise(error: OSError) -> None:
    raise error


def write_whole(path: Path, content: bytes | str, *, mode: int = PRIVATE_FILE, durable: bool = True) -> None:
    """Put `content` into `path` whole or not at all. Its folder has to be there. Raises OSError.

    durable: it outlives a power failure once this returns, which takes as long as the disk does.
    """
    with whole_file(path, mode=mode, durable=durable) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def whole_file(path: Path, *, mode: int = PRIVATE_FILE, durable: bool = True) -> Iterator[Path]:
    """A new, empty file beside `path` for the caller to write; it takes the place of `path` at the end, or is taken away.

    What a killed process left half written is in a file of its own name, and taken away by the next of the same process id.
    Raises OSError.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode))
    try:
        yield part
        if durable:
            _sync(part)
        part.replace(path)
        if durable:
            _sync(path.absolute().parent)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
