"""Units: sizes and times as people write them, `10GB`, `30d`, `1h30m`, where a key says what it is measured in. Pure.

| key ends with                        | what may stand there                                         |
|--------------------------------------|--------------------------------------------------------------|
| `_bytes`                             | B; kB, MB, GB, TB by 1,000; KiB, MiB, GiB, TiB by 1,024      |
| `_s`, `_ms`, `_minutes`, `_hours`    | ms, s, m (or min), h, d; several, the largest first          |

A number alone is in the unit of the key. `_per_s` is a rate, and takes no unit.
"""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise

_SIZES = {"b": 1} | {
    f"{letter}{tail}": base**power
    for power, letter in enumerate("kmgt", 1)
    for tail, base in (("b", 1000), ("ib", 1024))
}
_SECONDS = {
    "ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "min": Fraction(60), "h": Fraction(3600), "d": Fraction(86_400)
}  # fmt: skip
# In seconds.
_KEYS = {"_s": _SECONDS["s"], "_ms": _SECONDS["ms"], "_minutes": _SECONDS["m"], "_hours": _SECONDS["h"]}
_PART = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) ?([A-Za-z]{1,3})")

SIZE = r"^ ?\d{1,15}(\.\d{1,9})? ?([KkMmGgTt]?[Bb]|[KkMmGgTt][Ii][Bb])$"
TIME = r"^\d{1,15}(\.\d{1,9})? ?(ms|s|m|min|h|d)( ?\d{1,15}(\.\d{1,9})? ?(ms|s|m|min|h|d))*$"


def pattern(key: str) -> str | None:
    """Of what this key takes with a unit; None where it takes none."""
    if key.endswith("_bytes"):
        return SIZE
    return TIME if _seconds(key) is not None else None


def advice(key: str) -> str | None:
    """The way out for a text that is none of these; None where the key takes no unit."""
    if key.endswith("_bytes"):
        return "write bytes, or a size such as 512MiB or 10GB"
    return (
        "write a number in the unit of the key, or a time such as 500ms, 30s, 5m, 1h or 2d"
        if pattern(key)
        else None
    )


def amount(key: str, text: str) -> int | float | None:
    """The number that a text stands for below this key; None where it is none with a unit, or the key takes none."""
    parts = _PART.findall(text.strip())
    whole = "".join(text.split())
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != whole:
        return None
    if key.endswith("_bytes"):
        number, unit = parts[0]
        size = _SIZES.get(unit.lower())
        return _number(Fraction(number) * size) if size is not None and len(parts) == 1 else None
    of_key = _seconds(key)
    if of_key is None:
        return None
    units = [_SECONDS.get(unit) for _, unit in parts]
    known = [unit for unit in units if unit is not None]
    if len(known) != len(units) or any(later >= earlier for earlier, later in pairwise(known)):
        return None
    return _number(
        sum(Fraction(number) * unit for (number, _), unit in zip(parts, known, strict=True)) / of_key
    )


def _seconds(key: str) -> Fraction | None:
    if key.endswith("_per_s"):
        return None
    return next((unit for end, unit in _KEYS.items() if key.endswith(end)), None)


def _number(found: Fraction | int) -> int | float:
    exact = Fraction(found)
    return int(exact) if exact.denominator == 1 else float(exact)
