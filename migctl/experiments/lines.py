"""Lines: the exposure log as it is on disk: NDJSON, a file a day (UTC), read again at a restart and by a report.

What a killed process left half written, at the end or in the middle, is passed over and counted.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import msgspec

from migctl.config.files import PRIVATE_FILE, make_private_folder, open_private_log, read_own, write_whole
from migctl.events.jsontext import typed

FOLDER = "exposures"
SECRET = "secret"
_SUFFIX = ".ndjson"
_SECRET_BYTES = 32
_HASH_BYTES = 16


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One exposure. at: RFC 3339, UTC. user: its hash. drawn: chance decided, so that it may be compared.

    transport: None where the flag is not about transports. n: of the flag set. segment: None where the share was that of all.
    percent: the share of the opened variant then; None where nobody knows. kept: that share is the one by which the user was drawn,
    and another one holds by now.
    """

    at: str
    flag: str
    user: str
    assigned: str
    transport: str | None = None
    reason: str
    n: int
    segment: str | None = None
    named: bool = False
    percent: float | None = None
    drawn: bool
    kept: bool = False


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)


def encode(line: Line) -> bytes:
    return _encoder.encode(line) + b"\n"


def day_file(folder: Path, day: date) -> Path:
    return folder / f"{day.isoformat()}{_SUFFIX}"


def days_of(folder: Path) -> list[date]:
    """The days that there is a file of, in order. Raises OSError; a folder that is not there has none."""
    if not folder.exists():
        return []
    found: list[date] = []
    for path in folder.iterdir():
        try:
            found += [date.fromisoformat(path.name.removesuffix(_SUFFIX))] if path.suffix == _SUFFIX else []
        except ValueError:  # somebody's own file
            continue
    return sorted(found)


def read_lines(path: Path) -> Iterator[Line | None]:
    """None for each line that can't be read. A file that is not there has none.

    Raises OSError, and Refused where another user could have written it.
    """
    try:
        whole = read_own(path)
    except FileNotFoundError:
        return
    for text in whole.splitlines():
        try:
            yield typed(_decoder, text)
        except ValueError:
            yield None


def append(path: Path, data: bytes, *, durable: bool = False) -> None:
    """All of it or nothing. durable: it outlives a power failure once this returns. Raises OSError, as for a full disk."""
    with open_private_log(path) as file:
        handle = file.fileno()
        size = os.fstat(handle).st_size
        if size and not _ends_a_line(path, size):
            data = b"\n" + data  # what a kill left half written is a line of its own, and passed over
        done = 0
        try:
            while done < len(data):
                done += os.write(handle, data[done:])
            if durable:
                os.fsync(handle)
        except OSError:
            os.ftruncate(handle, size)
            raise


def _ends_a_line(path: Path, size: int) -> bool:
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"


def secret_of(folder: Path) -> bytes:
    """The secret by which users are hashed here; made where there is none.

    Raises OSError, ValueError where it is none, and Refused where another user could have written it.
    """
    path = folder / SECRET
    try:
        found = read_own(path)
    except FileNotFoundError:
        make_private_folder(folder)
        found = secrets.token_bytes(_SECRET_BYTES)
        write_whole(path, found, mode=PRIVATE_FILE)
    if len(found) != _SECRET_BYTES:
        raise ValueError(f"{path}: expected {_SECRET_BYTES} bytes, got {len(found)}")
    return found


def hashed(user: str, secret: bytes) -> str:
    """The user as it stands in the log: the same for the same secret, and nobody's name without it."""
    of = hashlib.blake2b(user.encode("utf-8", "surrogatepass"), key=secret, digest_size=_HASH_BYTES)
    return of.hexdigest()
