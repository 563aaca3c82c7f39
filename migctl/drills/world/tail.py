"""The end of a capture that is still written."""

from __future__ import annotations

from pathlib import Path

import msgspec

# A line may be as large as an event may: twice that holds one whole line.
_BLOCK = 64 << 10
_MOST = 4 << 20


class _Placed(msgspec.Struct):
    seq: int


def last_seq(path: Path) -> int:
    """The seq of its last whole line; 0 where there is none."""
    line = last_line(path)
    return msgspec.json.decode(line, type=_Placed).seq if line else 0


def last_line(path: Path) -> bytes:
    """Without its end; empty where there is none."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2)
            block = _BLOCK
            while True:
                start = max(0, end - block)
                file.seek(start)
                text = file.read(end - start)
                text = text[: text.rfind(b"\n") + 1]
                cut = text.rfind(b"\n", 0, -1)
                if cut >= 0 or start == 0 or block >= _MOST:
                    return text[cut + 1 : -1]
                block *= 2
    except FileNotFoundError:
        return b""
