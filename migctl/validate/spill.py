"""Spill: what a join can't hold in its memory, in files by hash of the id, to be joined one after the other.

A record is a line as it stood in its file, with its side, number and order, or an id that was settled already.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zlib import crc32

_HEAD = struct.Struct("<BBQI")
SETTLED = 255


class Record(NamedTuple):
    """side: of the line, or SETTLED; then text is the id.

    low: whether its seq was below the highest before it.
    """

    side: int
    low: bool
    number: int
    text: bytes


class Partitions:
    """`count` files below `folder`, a power of two. The same id always falls into the same one.

    depth: how often this data was split before.
    """

    def __init__(self, folder: Path, count: int, depth: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._paths = [folder / f"{number}.part" for number in range(count)]
        self._files: list[BinaryIO | None] = [None] * count
        self._shift = depth * (count - 1).bit_length()
        self.bytes_written = 0

    def put(self, event_id: str, record: Record) -> None:
        head = _HEAD.pack(record.side, record.low, record.number, len(record.text))
        # Other bits of the hash at each depth: the ids of one partition agree on those that chose it.
        bits = crc32(event_id.encode(errors="surrogatepass")) >> self._shift
        number = bits % len(self._files)
        file = self._files[number]
        if file is None:
            file = self._files[number] = self._paths[number].open("wb")
        file.write(head + record.text)
        self.bytes_written += len(head) + len(record.text)

    def close(self) -> None:
        """Let go of the files; what was put stays until it is drained."""
        for file in self._files:
            if file is not None:
                file.close()

    def drain(self) -> Iterator[Iterator[Record]]:
        """The records of each partition, in the order in which they were put. A file is removed once it was read."""
        self.close()
        for path, file in zip(self._paths, self._files, strict=True):
            if file is not None:
                yield _records(path)
                path.unlink()


def _records(path: Path) -> Iterator[Record]:
    with path.open("rb", buffering=1 << 20) as file:
        while head := file.read(_HEAD.size):
            side, low, number, size = _HEAD.unpack(head)
            yield Record(side, bool(low), number, file.read(size))
