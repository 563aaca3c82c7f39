"""Equality of JSON documents as jsonb sees it: order of keys, duplicate keys and spelling make no difference.

What a round trip through jsonb does to a document is `same`. A number that went through a double on its way is `number_precision`,
a class of its own. Everything else is `different`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import isfinite
from typing import Any

import msgspec

from migctl.events.numbers import QUICK_ERRORS, Number, Vast, loads_exact


class Equality(Enum):
    """SAME: equal values. NUMBER_PRECISION: equal but for numbers that are the same double. DIFFERENT: all else."""

    SAME = "same"
    NUMBER_PRECISION = "number_precision"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two documents differ.

    path: from the root, as in `.disks[0].used`; a key that is no plain word stands as `["any key"]`.
    kind: value, type, added, removed or number_precision; added and removed as seen from the first document.
    """

    path: str
    kind: str


def equal(a: bytes | msgspec.Raw, b: bytes | msgspec.Raw) -> Equality:
    """Compare two JSON texts. Raises ValueError where one is no JSON.

    Two integers are compared exactly. With a fraction or an exponent on at least one side, equal decimals are the same, and
    unequal ones that round to the same finite double are number_precision.
    """
    if surely_same(a, b):
        return Equality.SAME
    left, right = loads_exact(a), loads_exact(b)
    found = Equality.SAME
    for difference in _walk(left, right):
        if difference[1] != "number_precision":
            return Equality.DIFFERENT
        found = Equality.NUMBER_PRECISION
    return found


def surely_same(a: bytes | msgspec.Raw, b: bytes | msgspec.Raw) -> bool:
    """True only if `equal` would say SAME; False where that takes a closer look. Never raises."""
    if a == b:
        return True
    try:
        return _pack(_texts(a)) == _pack(_texts(b))
    except QUICK_ERRORS:
        return False


def differences(a: bytes | msgspec.Raw, b: bytes | msgspec.Raw, *, limit: int = 20) -> list[Difference]:
    """Where two JSON texts differ, in the order of the first document; at most `limit` places. Raises ValueError."""
    found: list[Difference] = []
    for path, kind in _walk(loads_exact(a), loads_exact(b)):
        if len(found) == limit:
            break
        found.append(Difference(_spell(path), kind))
    return found


# Most documents that are the same spell their numbers alike, and then this decides, all of it in C: fractions stay text (as bytes,
# which no JSON string is), keys are sorted, and MessagePack has a type of its own for each of integer, boolean, string and bytes.
_texts = msgspec.json.Decoder(float_hook=str.encode).decode
_pack = msgspec.msgpack.Encoder(order="deterministic").encode


# A path as a linked list, the last step first: walking builds none that nobody asks for.
_Path = tuple["_Path", str | int] | None


def _walk(a: Any, b: Any) -> Any:
    """Yield (path, kind) for each place where the two differ. Without recursion: the depth is the documents'."""
    stack: list[tuple[Any, Any, _Path]] = [(a, b, None)]
    while stack:
        left, right, path = stack.pop()
        if left is right:
            continue
        if type(left) is dict and type(right) is dict:
            for key in right:
                if key not in left:
                    yield (path, key), "added"
            for key in reversed(left):
                if key in right:
                    stack.append((left[key], right[key], (path, key)))
                else:
                    yield (path, key), "removed"
        elif type(left) is list and type(right) is list:
            for index in range(len(left), len(right)):
                yield (path, index), "added"
            for index in range(len(right), len(left)):
                yield (path, index), "removed"
            both = min(len(left), len(right))
            stack.extend((left[i], right[i], (path, i)) for i in reversed(range(both)))
        else:
            kind = _leaf(left, right)
            if kind is not None:
                yield path, kind


def _leaf(a: Any, b: Any) -> str | None:
    if _is_number(a) and _is_number(b):
        return _number(a, b)
    if type(a) is not type(b):
        return "type"
    return None if a == b else "value"


def _is_number(value: object) -> bool:
    kind = type(value)
    return kind is int or (isinstance(value, Number) and kind is not bool)


def _number(a: Number, b: Number) -> str | None:
    if isinstance(a, Vast) or isinstance(b, Vast):
        if isinstance(a, Vast) and isinstance(b, Vast) and a == b:
            return None
    elif a == b:
        return None
    if type(a) is int and type(b) is int:
        return "value"
    left, right = _double(a), _double(b)
    return "number_precision" if left == right and isfinite(left) else "value"


def _double(number: Number) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf")


def _spell(path: _Path) -> str:
    steps: list[str] = []
    while path is not None:
        path, step = path
        if isinstance(step, int):
            steps.append(f"[{step}]")
        elif step.isidentifier():
            steps.append(f".{step}")
        else:
            quoted = step.replace("\\", "\\\\").replace('"', '\\"')
            steps.append(f'["{quoted}"]')
    return "".join(reversed(steps)) or "."
