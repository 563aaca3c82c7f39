"""Own fault: whether no table of ours could ever hold an event, whatever is mended about it. Pure.

By what PostgreSQL says and by what is in the event, both: it says the same of a column that somebody made too narrow.

| SQLSTATE                    | in `data` there is                         | the event's own fault |
|-----------------------------|--------------------------------------------|-----------------------|
| 22P05, untranslatable       | anything                                   | yes: `\\u0000`         |
| 22P02, not JSON for `jsonb` | half a surrogate pair                      | yes                   |
| 22003, out of range         | a number of thousands of digits            | yes                   |
| 22P02, 22003                | neither                                    | no: a column is another |
| another                     | anything                                   | no                    |
"""

from __future__ import annotations

import re

from migctl.events.jsontext import loads

# All of which it may be said.
CODES = frozenset({"22P05", "22P02", "22003"})

_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
# Of `numeric`: 131,072 digits before the point, and 16,383 after it. What is far below is no reason for a 22003.
_VAST = re.compile(rb"[eE][+-]?\d{4,}|\d[\d.]{4000,}")


def is_own_fault(code: str, data: bytes) -> bool:
    """code: of the refusal; data: of the event, which is valid JSON."""
    if code == "22P05":
        return True
    if code == "22003":
        return _VAST.search(data) is not None
    return code == "22P02" and _HALF.search(data) is not None and _has_half_pair(data)


def _has_half_pair(data: bytes) -> bool:
    left = [loads(data)]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += [*value, *value.values()]
        elif isinstance(value, list):
            left += value
        elif isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
            return True
    return False
