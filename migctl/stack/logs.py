"""What the parts of a stack have written, from their files: the last lines, and lines as they come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, get_args

from migctl.config.files import check_state_folder
from migctl.errors import Usage

Source = Literal["postgres", "valkey", "standin", "supervisor"]
SOURCES: tuple[Source, ...] = get_args(Source)
_PROBE_S = 0.1
_BLOCK = 1 << 16

Line = tuple[Source, str]


def path(state_dir: Path, source: Source) -> Path:
    """Raises Refused where others could have put it there."""
    check_state_folder(state_dir)
    folder = state_dir / "stack"
    return folder / "supervisor.log" if source == "supervisor" else folder / source / f"{source}.log"


def last(state_dir: Path, source: Source, lines: int) -> list[str]:
    """The last lines; none where it has written nothing yet."""
    try:
        with path(state_dir, source).open("rb") as file:
            return _last(file, lines)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(path(state_dir, source), error) from None


def follow(state_dir: Path, sources: list[Source], lines: int) -> Iterator[Line]:
    """The last lines of each, then what comes, for ever. A log that was put aside or begun anew is followed where it goes on."""
    at: dict[Source, tuple[int, int]] = {}
    for source in sources:
        where = path(state_dir, source)
        if where.exists():
            at[source] = (where.stat().st_ino, where.stat().st_size)
        yield from ((source, line) for line in last(state_dir, source, lines))
    while True:
        came = False
        for source in sources:
            where = path(state_dir, source)
            try:
                now = where.stat()
                inode, offset = at.get(source, (now.st_ino, 0))
                if inode != now.st_ino or now.st_size < offset:
                    offset = 0
                if now.st_size > offset:
                    with where.open("rb") as file:
                        file.seek(offset)
                        data = file.read()
                    whole = data[: data.rfind(b"\n") + 1]
                    offset += len(whole)
                    for line in _text(whole).splitlines():
                        came = True
                        yield source, line
                at[source] = (now.st_ino, offset)
            except FileNotFoundError:
                at.pop(source, None)
            except OSError as error:
                raise _unreadable(where, error) from None
        if not came:
            time.sleep(_PROBE_S)


def _last(file: BinaryIO, lines: int) -> list[str]:
    """Read backwards in blocks: logs are long, and their ends are short."""
    left = file.seek(0, 2)
    data = b""
    while left > 0 and data.count(b"\n") <= lines:
        step = min(_BLOCK, left)
        left -= step
        file.seek(left)
        data = file.read(step) + data
    return _text(data).splitlines()[-lines:] if lines else []


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _unreadable(where: Path, error: OSError) -> Usage:
    return Usage(f"{where}: {error.strerror or error}", do="make it readable, or ask as the stack's owner")
