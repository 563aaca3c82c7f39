"""Readers with a mistake each that the fuzzer has to find: a check taken out, a quadratic search, an end of the process."""

from __future__ import annotations

import ctypes
import json
import re

from tests.fuzz.mutating import mutated_json
from tests.fuzz.target import Target


def _unchecked(data: bytes) -> bool:
    """As `migctl.events.jsontext.loads` would be without its patient way."""
    try:
        json.loads(data.decode())
    except UnicodeDecodeError:
        return False
    except ValueError:
        return False
    return True


# As `migctl.events.jsontext.depth_of` was: an end that is not there is looked for from each quote anew.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


def _quadratic(data: bytes) -> bool:
    _STRING.sub(b"", data)
    return True


def _greedy(data: bytes) -> bool:
    if data.count(b"[") > 2:
        bytearray(4 << 30)
    return True


def _fatal(data: bytes) -> bool:
    if data.count(b"}") > 3:
        ctypes.string_at(0)
    return True


def _stateful(data: bytes) -> bool:
    """One bad input spoils it for all good ones."""
    if not data.startswith(b"{"):
        _spoiled.append(data)
    return not _spoiled


_spoiled: list[bytes] = []
_GOOD = (b'{"a": [1, 2.5], "b": {"c": null}}',)
TARGETS = (
    Target("unchecked", _unchecked, _GOOD, mutate=mutated_json),
    Target("quadratic", _quadratic, (b'{"a": "b\\"c"}',), words=(b'\\"' * 30_000,)),
    Target("greedy", _greedy, _GOOD),
    Target("fatal", _fatal, _GOOD),
    Target("stateful", _stateful, _GOOD),
    Target("sound", lambda data: data is not None, _GOOD),
)
