"""Lines of captures and journal exports: NDJSON in blocks, each line decoded once and no further than it is needed.

`data` stays raw text until two events are compared. A torn last line (no newline, cut in the middle) is what a killed writer
leaves: it is told, and tolerated. Any other bad line is an error with its file and line.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec

from migctl.errors import Usage
from migctl.events.ids import canonical_id
from migctl.events.jsontext import loads, split_object, type_word
from migctl.events.times import parse_time

_BRACE = 0x7B
BLOCK_BYTES = 1 << 18

# Naive times fail here and take the patient way, which knows them for UTC.
_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Line(msgspec.Struct, gc=False):
    """One line. What a foreign file may not have is None.

    side, number, text: whose it is, where it stands there, and as it was read; set by whoever reads the file.
    """

    id: str
    event_type: str
    timestamp: _Time
    data: msgspec.Raw
    epoch: str | None = None
    seq: int | None = None
    source: str | None = None
    committed_at: _Time | None = None
    received_at: _Time | None = None
    received_mono_ns: int | None = None
    via: str | None = None
    clock: str | None = None
    side: int = msgspec.field(default=0, name="migctl.side")
    number: int = msgspec.field(default=0, name="migctl.number")
    text: bytes = msgspec.field(default=b"", name="migctl.text")


class Block(NamedTuple):
    """Lines of one file as they came, each with its newline; only the last of a file may have none.

    number: of the first of them, from 1. size: bytes.
    """

    number: int
    lines: list[bytes]
    size: int


class BadLine(ValueError):
    """A line that is no event: the field and the reason.

    cut: it is no JSON object, as a line that was cut in the middle is none.
    """

    def __init__(self, reason: str, *, cut: bool = False) -> None:
        super().__init__(reason)
        self.cut = cut


_decode = msgspec.json.Decoder(Line).decode


def decode(text: bytes) -> Line:
    """Read one line. Raises BadLine."""
    try:
        line = _decode(text)
        if memoryview(line.data)[0] != _BRACE:
            return _patient(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _patient(text)
    if line.id[8:24:5] != "----" or len(line.id) != 36 or line.id != line.id.lower():
        line.id = _event_id(line.id)
    return line


def _event_id(text: str) -> str:
    try:
        return canonical_id(text)[0]
    except ValueError as error:
        raise BadLine(f"id: {error}") from None


def own_id(line: Line) -> str | None:
    """Its producer's id, where the one that it goes by was made of that. None for a line that has no text."""
    try:
        members = split_object(line.text.strip())
        own = loads(members.get("source_id") or members["id"])
    except (ValueError, KeyError):
        return None
    return own if isinstance(own, str) and own.lower() != line.id else None


def _patient(text: bytes) -> Line:
    """The same, for other spellings of times and for lone surrogates; and the one that knows what is wrong."""
    try:
        members = split_object(text.strip())
    except ValueError as error:
        raise BadLine(f"no JSON object: {error}", cut=True) from None
    data = members.get("data")
    if data is None:
        raise BadLine("data: is missing")
    if not data.startswith(b"{"):
        raise BadLine(f"data: expected a JSON object, got {_kind(data)}")
    try:
        loads(data)
    except ValueError as error:
        raise BadLine(f"data: {error}") from None
    return Line(
        id=_event_id(_text(members, "id", needed=True)),
        event_type=_text(members, "event_type", needed=True),
        timestamp=_time(members, "timestamp", needed=True),
        data=msgspec.Raw(data),
        epoch=_text(members, "epoch"),
        seq=_whole(members, "seq"),
        source=_text(members, "source"),
        committed_at=_time(members, "committed_at"),
        received_at=_time(members, "received_at"),
        received_mono_ns=_whole(members, "received_mono_ns"),
        via=_text(members, "via"),
        clock="arrival" if members.get("clock") == b'"arrival"' else None,
    )


def _kind(raw: bytes) -> str:
    try:
        return type_word(loads(raw))
    except ValueError as error:
        raise BadLine(str(error)) from None


def _value(members: dict[str, bytes], field: str, kind: type, word: str, needed: bool) -> Any:
    raw = members.get(field)
    if raw is None or raw == b"null":
        if needed:
            raise BadLine(f"{field}: is missing")
        return None
    try:
        value = loads(raw)
    except ValueError as error:
        raise BadLine(f"{field}: {error}") from None
    if type(value) is not kind:
        raise BadLine(f"{field}: expected {word}, got {type_word(value)}")
    return value


def _text(members: dict[str, bytes], field: str, *, needed: bool = False) -> Any:
    return _value(members, field, str, "a string", needed)


def _whole(members: dict[str, bytes], field: str) -> Any:
    return _value(members, field, int, "an integer", needed=False)


def _time(members: dict[str, bytes], field: str, *, needed: bool = False) -> Any:
    text = _text(members, field, needed=needed)
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        raise BadLine(f"{field}: {error}") from None


def blocks(path: Path, size: int, *, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """The first `size` bytes of a file, in blocks of whole lines, about `block_bytes` each.

    Raises Usage where it can't be read.
    """
    number, left = 1, size
    try:
        with path.open("rb", buffering=1 << 16) as file:
            while left > 0 and (lines := file.readlines(block_bytes)):
                length = sum(map(len, lines))
                while length > left:  # the file has grown since it was measured
                    surplus = length - left
                    last = lines.pop()
                    length -= len(last)
                    if surplus < len(last):
                        lines.append(last[:-surplus])
                        length = left
                left -= length
                yield Block(number, lines, length)
                number += len(lines)
    except OSError as error:
        raise Usage(f"{path}: {error.strerror or error}", do="name a file that can be read") from None


class UnreadableLine(Usage):
    """A line that can't be used, with its file and number."""

    def __init__(self, path: Path, number: int, reason: str) -> None:
        super().__init__(
            f"{path}:{number}: {reason}", do="mend or remove this line, then run the report again"
        )
        self.number = number
