"""Lines: cuts a stream of bytes at the byte `\\n`, and only there, and knows at which offset each line stands.

Other line ends of Unicode are part of a line. A line that does not end has no claim on memory: above the bound only its beginning
is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

MAX_LINE_BYTES = 16 << 20


class Line(NamedTuple):
    """offset: of its first byte. end: of the byte after its newline. text: without the newline.

    size: how long it really was, which is more than len(text) where it was cut.
    """

    offset: int
    end: int
    text: bytes
    size: int

    @property
    def cut(self) -> bool:
        return self.size > len(self.text)


class Lines:
    """Feed it chunks in order; it gives back whole lines. `end` gives the last one if it had no newline."""

    def __init__(self, *, offset: int = 0, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._offset = offset
        self._max = max_line_bytes
        self._parts: list[bytes] = []
        self._kept = 0
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """Exhaust it before the next chunk."""
        pieces = chunk.split(b"\n")
        for piece in pieces[:-1]:
            if not self._parts and len(piece) <= self._max:
                offset = self._offset
                self._offset = end = offset + len(piece) + 1
                yield Line(offset, end, piece, len(piece))
            else:
                self._keep(piece)
                yield self._take(1)
        if pieces[-1]:
            self._keep(pieces[-1])

    def end(self) -> Line | None:
        """The last line, where the stream ended without a newline."""
        return self._take(0) if self._size else None

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        room = self._max - self._kept
        if room > 0 and piece:
            self._parts.append(piece[:room])
            self._kept += min(room, len(piece))

    def _take(self, newline: int) -> Line:
        offset, size = self._offset, self._size
        line = Line(offset, offset + size + newline, b"".join(self._parts), size)
        self._offset = line.end
        self._parts, self._kept, self._size = [], 0, 0
        return line
