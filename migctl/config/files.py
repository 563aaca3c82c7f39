"""Files of ours: for their owner alone, and written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import re
import stat
import time
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

from migctl.errors import Refused, Usage

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
STATE_FOLDER = ".migctl"

# What is ours in a state folder that holds other things too, as one by another name than `.migctl` may.
OURS = (
    "journal.db*", "serve.json", "serve.sock", "stack", "stack.*", "drills", "drills.ndjson", "exposures", "openfeature",
    "error.log", "witness.*", "walker.lock", "rejected.*ndjson", "evidence.ndjson", "kept.ndjson",
    "outages.ndjson", "unmapped.ndjson", "ctl.ndjson",
    "revoked-tokens.json",
    "tap.seen.json", "clients.json", "stage.json", "flag*.json", "signoff.*",
)  # fmt: skip
# They look after themselves: PostgreSQL's own.
_ELSEWHERE = frozenset({"data", "data.part"})
# A part of a file that its writer was killed over, and that nobody has touched for so long, is nobody's.
_LEFT_S = 10.0
_HALF = re.compile(r"\.(.+)\.\d+\.part(?:-wal|-shm|-journal)?")


def make_private_folder(folder: Path) -> None:
    """Make the folder, and what it lies in, for the owner alone. Raises OSError.

    One that is there already and that others could read is mended where it is ours alone: it is called `.migctl`, or nothing is in
    it yet. Any other (a home folder, a checkout) stays as it is, as do those above it: what we write into it is private by itself.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        with contextlib.suppress(FileExistsError):  # somebody was quicker
            one.mkdir(mode=PRIVATE_FOLDER)
            if (
                one.stat().st_mode & PRIVATE_FOLDER != PRIVATE_FOLDER
            ):  # a umask that takes from its owner, too
                one.chmod(PRIVATE_FOLDER)
    if not missing:
        _mend(folder)
    elif not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def make_state_folder(folder: Path) -> None:
    """The state folder, made and mended as any private one, with all of ours that is in it. Whoever may write into it could take
    the place of our files.

    Raises Refused where that is somebody else, or has been, and Usage where it can't be made.
    """
    try:
        make_private_folder(folder)
        refuse_shared(folder, folder.stat())
        everything = folder.resolve().name == STATE_FOLDER
        for entry in _of_ours(folder):
            _refuse_planted(entry)
        if everything:
            mend_private_tree(folder, but=_ELSEWHERE)
        else:
            for entry in _of_ours(folder):
                mend_private_tree(Path(entry.path), but=_ELSEWHERE)
    except OSError as error:
        raise Usage(
            f"{error.filename or folder}: {error.strerror or error}",
            do="name a folder that you can write to: MIGCTL_STATE_DIR=PATH",
        ) from None


def _of_ours(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as inside:
        return [entry for entry in inside if any(fnmatchcase(entry.name, ours) for ours in OURS)]


def _refuse_planted(entry: os.DirEntry[str]) -> None:
    """The folder may have been open to others before; then they may have put there what we would write to, or believe."""
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    if found.st_uid not in (os.geteuid(), 0):
        raise Refused(
            f"{entry.path}: is in the state folder and belongs to another user (uid {found.st_uid})",
            do="see what is in it, and remove it; if it is yours, chown it to the user that runs this",
        )
    # The journal may lie on another disk: whatever it is called, it has one writer.
    if stat.S_ISLNK(found.st_mode) and not entry.name.startswith("journal.db"):
        raise Refused(
            f"{entry.path}: is a link, and links in the state folder are not followed",
            do="put there what it leads to; the whole folder may lie elsewhere: MIGCTL_STATE_DIR=PATH",
        )


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
    if others_may_write(found):
        raise Refused(
            f"{folder}: other users can write to the state folder (mode {stat.S_IMODE(found.st_mode):04o})",
            do=f"see that all in it is yours, then chmod go-w {folder}; "
            f"or name a folder of its own: MIGCTL_STATE_DIR={folder.absolute() / STATE_FOLDER}",
        )


def others_may_write(found: os.stat_result) -> bool:
    """Whether the mode lets anybody but its owner and root write. A group of the owner's own, which many systems give each user
    together with a umask that lets it write, is nobody else."""
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _is_private_group(found.st_gid, found.st_uid)


def _is_private_group(gid: int, uid: int) -> bool:
    """It is called as the user is, is that user's first, and has no other member: what `useradd` makes. Not root's."""
    if uid == 0:
        return False
    try:
        owner, group = pwd.getpwuid(uid), grp.getgrgid(gid)
    except (KeyError, OSError):
        return False
    if (owner.pw_gid, owner.pw_name) != (gid, group.gr_name) or set(group.gr_mem) - {owner.pw_name}:
        return False
    return all(one.pw_uid == uid for one in pwd.getpwall() if one.pw_gid == gid)


def refuse_foreign(path: Path, file: int, *, named: str | None = None, what: str = "run any command") -> None:
    """Raises Refused where another user has this file of settings, or may write to it: it may name a command that we run.

    file: it, opened. What root has put there is as good as ours. named: what it is called, where its path is not to be quoted.
    what: that could be had from us by who writes it.
    """
    shown = named or str(path)
    found = os.fstat(file)
    owners = {found.st_uid, path.lstat().st_uid} - {os.geteuid(), 0}
    if owners:
        raise Refused(
            f"{shown}: belongs to another user (uid {min(owners)}, and this is {os.geteuid()}), who could let us {what}",
            do="read it; if it says what you want, make it yours: chown it to the user that runs this",
        )
    if others_may_write(found) and not stat.S_ISCHR(found.st_mode):
        raise Refused(
            f"{shown}: other users can write to it (mode {stat.S_IMODE(found.st_mode):04o}), and so let us {what}",
            do=f"read it; if it says what you want: chmod go-w {'that file' if named else path}",
        )


def open_own(path: Path, flags: int, mode: int = PRIVATE_FILE) -> int:
    """As `os.open`, for a file in a folder of ours: for its owner alone where it is made, and never by way of a link.

    Raises OSError.
    """
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "is a link, which is not followed here", str(path)) from None
        raise


def private_opener(path: str, flags: int) -> int:
    """For `open(..., opener=)`: a file that is made is its owner's alone; one that is there stays as it is."""
    return os.open(path, flags | os.O_CLOEXEC, PRIVATE_FILE)


def read_own(path: Path) -> bytes:
    """What a file of the state folder holds, or of a folder of ours in it. What another user could have put there is not believed.

    Raises OSError, and Refused where the folder or the file is somebody else's, or open to others' writing.
    """
    check_state_folder(path.parent)
    # Not held up by what is no file.
    with os.fdopen(open_own(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        found = os.fstat(file.fileno())
        # What root put there, as from a backup, is as good as ours.
        if found.st_uid not in (os.geteuid(), 0) or others_may_write(found):
            raise Refused(
                f"{path}: another user could have written it (uid {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o})",
                do="see what is in it; if it is yours, make it so: chown it to the user that runs this, and chmod 600",
            )
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "is no file", str(path))
        return file.read()


def _mend(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = os.fstat(opened)
        if found.st_uid != os.geteuid() or not found.st_mode & 0o077 or found.st_mode & stat.S_ISVTX:
            return
        if not _is_used(opened):
            os.fchmod(opened, PRIVATE_FOLDER)
            if others_may_write(found) and _is_used(opened):  # somebody was quicker
                os.fchmod(opened, stat.S_IMODE(found.st_mode))
        elif folder.resolve().name == STATE_FOLDER and not others_may_write(found):
            os.fchmod(opened, PRIVATE_FOLDER)
    finally:
        os.close(opened)


def _is_used(folder: int) -> bool:
    with os.scandir(folder) as inside:
        return any(inside)


def mend_private_tree(folder: Path, *, but: Collection[str] = ()) -> None:
    """Take from group and others what they may do with this file, or in this folder and below, where it is ours. Raises OSError.

    but: names of folders that look after themselves. Links are left as they are, and never followed.
    """
    _close_to_others(folder)
    if folder.is_symlink():
        return
    for where, folders, files in os.walk(folder, onerror=_raise_ours):
        folders[:] = [name for name in folders if name not in but]
        for name in (".", *files):
            _close_to_others(Path(where, name))
            if (half := _HALF.fullmatch(name)) is not None:  # also of a file that nobody will write again
                _clear_parts(Path(where, half[1]))


def _close_to_others(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # somebody tidies up meanwhile
        found = path.lstat()
        if (
            found.st_uid == os.geteuid()
            and found.st_mode & 0o077
            and (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))
        ):
            path.chmod(stat.S_IMODE(found.st_mode) & 0o700)


def _raise_ours(error: OSError) -> None:
    # Gone meanwhile, or closed to us: then it is closed to others by who has it. A file is no folder to walk.
    if not isinstance(error, (FileNotFoundError, PermissionError, NotADirectoryError)):
        raise error


def open_private_log(path: Path) -> BinaryIO:
    """A file that is written to at its end, for the owner alone; one of ours that others could read is mended. Raises OSError."""
    file = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    found = os.fstat(file)
    if found.st_uid == os.geteuid() and stat.S_ISREG(found.st_mode) and found.st_mode & 0o077:
        os.fchmod(file, PRIVATE_FILE)
    return os.fdopen(file, "ab")


def write_whole(path: Path, content: bytes | str, *, mode: int = PRIVATE_FILE, durable: bool = True) -> None:
    """Put `content` into `path` whole or not at all. Its folder has to be there. Raises OSError.

    durable: it outlives a power failure once this returns, which takes as long as the disk does.
    """
    with whole_file(path, mode=mode, durable=durable) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def whole_file(path: Path, *, mode: int = PRIVATE_FILE, durable: bool = True) -> Iterator[Path]:
    """A new, empty file beside `path` for the caller to write; it takes the place of `path` at the end, or is taken away.

    What a killed process left half written is in a file of its own name, and taken away by whoever writes next.
    Raises OSError.
    """
    _clear_parts(path)
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


def _clear_parts(path: Path) -> None:
    """Parts of this file whose writers are gone. One in another container may seem gone, and is not: hence the time."""
    name = re.compile(rf"\.{re.escape(path.name)}\.(\d+)\.part(?:-wal|-shm|-journal)?")
    with contextlib.suppress(OSError), os.scandir(path.parent) as inside:
        for entry in inside:
            if (found := name.fullmatch(entry.name)) is not None:
                with contextlib.suppress(OSError):
                    old = time.time() - entry.stat(follow_symlinks=False).st_mtime > _LEFT_S
                    if old and not Path("/proc", found[1]).exists():
                        Path(entry.path).unlink()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
