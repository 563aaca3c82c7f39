"""Ours: blocks of lines as our own writers leave them, looked at as a whole rather than line by line.

Nearly every block of a capture is one: each line begins with id, epoch and seq, the seqs rise, and none is a control event. Then
the lines of other shards need not be read further, and nothing in the block can be out of order. Any doubt sends a block the slow
way, which knows everything; so this only ever says "surely" or nothing.
"""

from __future__ import annotations

import re
from operator import lt

import msgspec

from migctl.validate.lines import Line

HEAD = re.compile(
    rb'\{"id":"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"'
    rb',"epoch":"([^"\\]*)","seq":([0-9]{1,18}),'
)
ID_END = 42  # where the last digit of the id stands
_ID_QUOTE = 43
# What stands where in `{"id":"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"`.
_FIXED = [*enumerate(b'{"id":"'), *((at, 0x2D) for at in (15, 20, 25, 30)), (_ID_QUOTE, 0x22)]

_decode_lines = msgspec.json.Decoder(Line).decode_lines


def last_seq(lines: list[bytes], epoch: str | None, top: int) -> int | None:
    """The seq of the last line, if all are ours, of this epoch, with seqs that rise from above `top`; else None."""
    first = HEAD.match(lines[0])
    if first is None or int(first[2]) <= top or first[1] != (epoch or "").encode():
        return None
    count, end = len(lines), first.end()
    ids = b"".join([text[: _ID_QUOTE + 1] for text in lines])
    if len(ids) != count * (_ID_QUOTE + 1) or ids != ids.lower():
        return None
    if any(ids[at :: _ID_QUOTE + 1] != bytes([char]) * count for at, char in _FIXED):
        return None
    # From the id's quote to the comma behind the seq. These rise as texts, so what the first and the last begin with, all begin
    # with; and all seqs have the same number of digits, so they rise as numbers too.
    seqs = [text[_ID_QUOTE:end] for text in lines]
    if not seqs[-1].startswith(seqs[0][: first.start(2) - _ID_QUOTE]) or not all(map(lt, seqs, seqs[1:])):
        return None
    width = end - _ID_QUOTE
    joined = b"".join(seqs)
    if len(joined) != count * width or joined[width - 1 :: width] != b"," * count:
        return None
    digits = seqs[-1][first.start(2) - _ID_QUOTE : -1]
    return int(digits) if digits.isdigit() and lines[-1].endswith(b"}\n") else None


def decode_all(lines: list[bytes]) -> list[Line] | None:
    """Read lines that `last_seq` was sure of; None if any of them needs a closer look."""
    joined = b"".join(lines)
    if b'"event_type":"sys.' in joined or joined.count(b'"data":{') != len(lines):
        return None
    try:
        found = _decode_lines(joined)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return found if len(found) == len(lines) else None
