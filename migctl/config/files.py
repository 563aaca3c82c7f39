"""Files of ours: for their owner alone, and written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def make_private_folder(folder: Path) -> None:
    """Make the folder, and what it lies in, for the owner alone; one of ours that others could read is mended. Raises OSError.

    Folders above it that are there already are left as they are.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    for one in missing:
        one.chmod(PRIVATE_FOLDER)
    if folder.stat().st_uid == os.geteuid() and folder.stat().st_mode & 0o077:
        folder.chmod(PRIVATE_FOLDER)


def write_whole(path: Path, content: bytes | str, *, mode: int = PRIVATE_FILE) -> None:
    """Put `content` into `path` whole or not at all, durable when this returns. Its folder has to be there. Raises OSError.

    What a killed process left half written is in a file of its own name, and taken away by the next of the same process id.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    data = content.encode() if isinstance(content, str) else content
    try:
        with os.fdopen(
            os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb"
        ) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
