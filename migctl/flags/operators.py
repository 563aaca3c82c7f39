"""JsonLogic's operators on values: JavaScript's conversions, as flagd evaluators agree on them. Pure.

Each is total over JSON values, or raises TypeError, ZeroDivisionError or OverflowError, which the evaluator answers with an error
result: a rule never breaks the one who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite, isnan

import semver

NAN = float("nan")
Operator = Callable[..., object]


def truth(value: object) -> bool:
    """JsonLogic's truth: an empty list is false, an object is true."""
    if value is None or value is False:
        return False
    if value is True:
        return True
    if isinstance(value, float):
        return not isnan(value) and value != 0
    if isinstance(value, (str, int, list, tuple)):
        return bool(value)
    return True


def number(value: object) -> int | float:
    if isinstance(value, (int, float)):
        return value
    if value is None:
        return 0
    if isinstance(value, (list, tuple)):
        if not value:
            return 0
        return NAN if len(value) > 1 else number(value[0])
    if isinstance(value, Mapping):
        return NAN
    # Python reads these, JavaScript does not.
    if isinstance(value, str) and value.strip().lower() in ("inf", "-inf", "+inf"):
        return NAN
    try:
        return float(text(value))
    except ValueError:
        return NAN


def text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, int):  # a bool too, as flagd's own
        return str(value)
    if value is None:
        return "null"
    if isinstance(value, (list, tuple)):
        return ",".join(map(text, value))
    return "[object Object]" if isinstance(value, Mapping) else str(value)


def loosely_equal(a: object, b: object) -> bool:
    kind = type(a)
    if kind is type(b):
        # Two lists, two objects: equal only where they are the same one.
        return bool(a is b) if kind in (list, dict) else bool(a == b)
    if isinstance(a, (int, float)):
        return bool(a == (b if isinstance(b, (int, float)) else number(b)))
    if isinstance(b, (int, float)):
        return bool(number(a) == b)
    if a is None or b is None:
        return False
    if isinstance(a, str):
        return a == text(b)
    if isinstance(b, str):
        return text(a) == b
    return False


def less(a: object, b: object) -> bool:
    x, y = _comparable(a, b)
    return x < y  # type: ignore[operator] # two numbers or two texts


def less_or_equal(a: object, b: object) -> bool:
    x, y = _comparable(a, b)
    return x <= y  # type: ignore[operator]


def _comparable(a: object, b: object) -> tuple[int | float, int | float] | tuple[str, str]:
    if (
        not isinstance(a, (int, float))
        and not isinstance(b, (int, float))
        and (isinstance(a, str) or isinstance(b, str))
    ):
        return text(a), text(b)
    return number(a), number(b)


def variable(data: object, path: object, default: object = None) -> object:
    """What stands at a path such as `a.b.0`; the default where nothing does, or null."""
    if path is None or path == "":
        return data
    if isinstance(path, (int, float)):
        if isinstance(data, (list, str)):
            if not isfinite(path):
                return default
            index = int(path)
            return data[index] if index == path and 0 <= index < len(data) else default
        if not isinstance(data, Mapping):
            return default
        data = data.get(path)
        if data is None:
            return default
    for part in text(path).split("."):
        if isinstance(data, Mapping):
            data = data.get(part)
        elif isinstance(data, (list, str)):
            if part == "length":
                return len(data)
            if not (part.isascii() and part.isdigit() and part == str(int(part)) and int(part) < len(data)):
                return default
            data = data[int(part)]
        else:
            return default
    return default if data is None else data


def contains(needle: object, haystack: object) -> bool:
    if isinstance(haystack, (list, tuple)):
        return needle in haystack
    return isinstance(haystack, str) and text(needle) in haystack


def substring(whole: object, start: object, length: object = None) -> str:
    string = text(whole)
    size = len(string)
    begin = number(start)
    if isnan(begin):
        first = 0
    elif begin < 0:
        first = 0 if -begin >= size else size - int(-begin)
    else:
        first = min(int(begin), size)
    if length is None:
        return string[first:]
    count = number(length)
    if isnan(count):
        return ""
    end = max(first, size + int(count)) if int(count) < 0 else first + int(count)
    return string[first:end]


def _add(*values: object) -> int | float:
    return sum(map(number, values))


def _multiply(*values: object) -> int | float:
    product: int | float = 1
    for value in values:
        product *= number(value)
    return product


def _subtract(a: object = None, b: object = None, *_: object) -> int | float:
    return -number(a) if b is None else number(a) - number(b)


def _between(holds: Callable[[object, object], bool]) -> Operator:
    def compare(a: object = None, b: object = None, c: object = None, *_: object) -> bool:
        return holds(a, b) and (c is None or holds(b, c))

    return compare


def _smallest(*values: object) -> int | float:
    return min(map(number, values)) if values else NAN


def _largest(*values: object) -> int | float:
    return max(map(number, values)) if values else NAN


def _merge(*values: object) -> list[object]:
    items: list[object] = []
    for value in values:
        items.extend(value if isinstance(value, list) else [value])
    return items


def _starts_with(*values: object) -> bool | None:
    pair = _two_texts(values)
    return None if pair is None else pair[0].startswith(pair[1])


def _ends_with(*values: object) -> bool | None:
    pair = _two_texts(values)
    return None if pair is None else pair[0].endswith(pair[1])


def _two_texts(values: Sequence[object]) -> tuple[str, str] | None:
    if len(values) != 2:
        return None
    first, second = values
    return (first, second) if isinstance(first, str) and isinstance(second, str) else None


_VERSION_RULES: dict[str, Callable[[semver.Version, semver.Version], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "^": lambda a, b: a.major == b.major,
    "~": lambda a, b: (a.major, a.minor) == (b.major, b.minor),
}


def _sem_ver(*values: object) -> bool | None:
    if len(values) != 3:
        return None
    rule = _VERSION_RULES.get(values[1]) if isinstance(values[1], str) else None
    try:
        first, second = _version(values[0]), _version(values[2])
    except ValueError:
        return None
    return None if rule is None else rule(first, second)


def _version(value: object) -> semver.Version:
    """`1`, `1.2` and `v1.2.3-rc.1` are versions. Raises ValueError."""
    string = str(value)
    if string.startswith(("v", "V")):
        string = string[1:]
    numbers = string.split("-")[0].split("+")[0]
    missing = 2 - numbers.count(".")
    if missing > 0:
        string = numbers + ".0" * missing + string[len(numbers) :]
    return semver.Version.parse(string)


# Operators of their arguments' values. `var`, `missing`, and those that decide what is evaluated stand in `logic`.
OPERATORS: Mapping[str, Operator] = {
    "==": lambda a=None, b=None, *_: loosely_equal(a, b),
    "!=": lambda a=None, b=None, *_: not loosely_equal(a, b),
    "===": lambda a=None, b=None, *_: a == b,
    "!==": lambda a=None, b=None, *_: a != b,
    "<": _between(less),
    "<=": _between(less_or_equal),
    ">": _between(lambda a, b: less(b, a)),
    ">=": _between(lambda a, b: less_or_equal(b, a)),
    "!": lambda a=None, *_: not truth(a),
    "!!": lambda a=None, *_: truth(a),
    "+": _add,
    "*": _multiply,
    "-": _subtract,
    "/": lambda a=None, b=None, *_: number(a) / number(b),
    "%": lambda a=None, b=None, *_: number(a) % number(b),
    "in": lambda needle=None, haystack=None, *_: contains(needle, haystack),
    "min": _smallest,
    "max": _largest,
    "cat": lambda *values: "".join(map(text, values)),
    "substr": lambda whole=None, start=None, length=None, *_: substring(whole, start, length),
    "merge": _merge,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "sem_ver": _sem_ver,
}
