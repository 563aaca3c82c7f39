"""Mutations of good examples: of bytes, of JSON as a tree, of lines of YAML. The same for the same random numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

# (random, a good example, words, the most bytes) -> a bad one, as a rule.
Mutate = Callable[[Random, bytes, Sequence[bytes], int], bytes]


class Verbatim(str):
    """A JSON value by its text, which may be none."""


NUMBERS = (
    "0", "-0", "-1", "1", "255", "256", "4294967296", "9223372036854775807", "9223372036854775808", "-9223372036854775809",
    "18446744073709551616", "9007199254740993", "0.1", "1.0", "1e0", "1E400", "-1e999", "1e-999", "0e999999999",
    "1e99999999999999999999", "0.1000000000000000055511151231257827", "1e308", "NaN", "Infinity", "-Infinity", "01", "+1", ".5",
    "1.", "0x10", "1_000", "9" * 4300, "9" * 4301, "9" * 5000, "-" + "1" * 6000, "0." + "3" * 5000, "1e" + "9" * 5000,
)  # fmt: skip
TEXTS = (
    "", " ", "\0", "a\0b", "\ud800", "\udfff\ud800", "\U0001f600", "\u202e", "\u2028", "\ufeff", "\r", "\r\n", "\n",
    "\x1b]0;x\x07", "é", "null", "true", "{}", "[]", "sys.hello", "sys.hb", "sys.fallback", "sys.assignment", "__proto__",
    "constructor", "../../etc/passwd", "2026-01-31T12:00:00Z", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59", "infinity", "-infinity", "0044-03-15T00:00:00+00:00 BC", "10000-01-01T00:00:00+00:00",
    "1890-01-01T00:00:00+00:19:32", "2016-12-31T23:59:60Z", "24:00:00", "0190a000-0000-7000-8000-00000000000a",
    "0190A000-0000-7000-8000-00000000000A", "{0190a000-0000-7000-8000-00000000000a}", "١٢٣", "²", "①", "x" * 255, "x" * 256,
    "x" * 513, "\U0001f600" * 600, "%00", "%", "a,b", "a:b:c", "*", "$ref", "-", "+", "e", ".",
)  # fmt: skip
KEYS = (
    "id", "seq", "data", "type", "event_type", "timestamp", "epoch", "event", "payload", "", "\0", "\ud800", "k" * 3000,
)  # fmt: skip
BYTES = (
    b"\0", b"\r", b"\n", b"\r\n", b"\xff", b"\xfe\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc0\x80", b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80", b"\xe2\x80\xa8", b"\x1e", b"\x85", b"\xa0", b"{", b"}", b"[", b"]", b'"', b"\\", b"\\u0000", b"\\ud800",
    b"\\udc00\\ud800", b":", b",", b" ", b"\t", b"/*", b"//", b"null", b"true", b"-", b"1e999", b"9" * 5000, b"NaN", b"[" * 1100,
    b'{"a":' * 1100, b"[" * 40_000, b"," * 5000, b"0," * 5000, b'"' + b"x" * 20_000 + b'"',
)  # fmt: skip


def mutated_bytes(random: Random, good: bytes, words: Sequence[bytes], most: int) -> bytes:
    """Some steps on the bytes themselves: cut, doubled, bent, a word put in or over."""
    data = bytearray(good)
    for _ in range(1 + int(random.expovariate(0.7))):
        _step(random, data, words)
    return bytes(data[:most])


def _step(random: Random, data: bytearray, words: Sequence[bytes]) -> None:
    size = len(data)
    at = random.randrange(size + 1)
    end = min(size, at + 1 + int(random.expovariate(0.1)))
    match random.randrange(8):
        case 0:
            del data[at:]
        case 1:
            del data[:at]
        case 2:
            del data[at:end]
        case 3 if at < size:
            data[at] = random.randrange(256)
        case 4 if at < size:
            data[at] ^= 1 << random.randrange(8)
        case 5:
            data[at:at] = data[at:end] * random.choice((1, 2, 3, 50))
        case _:
            word = random.choice(words) if words and random.random() < 0.6 else random.choice(BYTES)
            data[at : (end if random.random() < 0.4 else at)] = word


def mutated_json(random: Random, good: bytes, words: Sequence[bytes], most: int) -> bytes:
    """Some steps on the tree, spelled in one of its spellings; now and then steps on the bytes of that."""
    if random.random() < 0.25:
        return mutated_bytes(random, good, words, most)
    text = spelled(random, bent(random, json.loads(good, object_pairs_hook=Pairs), words))
    data = text.encode("utf-8", "surrogatepass" if random.random() < 0.1 else "backslashreplace")
    return (mutated_bytes(random, data, words, most) if random.random() < 0.15 else data)[:most]


class Pairs(list[tuple[str, Any]]):
    """An object, with keys that may be there twice."""


def bent(random: Random, tree: Any, words: Sequence[bytes] = ()) -> Any:
    """A tree of `Pairs`, lists and values with one place or a few of it changed."""
    for _ in range(1 + int(random.expovariate(0.8))):
        tree = _bent_once(random, tree, words)
    return tree


def _bent_once(random: Random, tree: Any, words: Sequence[bytes]) -> Any:
    if isinstance(tree, Pairs) and tree and random.random() < 0.85:
        made, at = Pairs(tree), random.randrange(len(tree))
        key, value = made[at]
        match random.randrange(10):
            case 0:
                del made[at]
            case 1:
                made.insert(at, (key, _value(random, words)))
            case 2:
                made.append((key, _value(random, words)))
            case 3:
                made[at] = (_key(random, words), value)
            case 4:
                made.append((_key(random, words), _value(random, words)))
            case _:
                made[at] = (key, _bent_once(random, value, words))
        return made
    if isinstance(tree, list) and tree and random.random() < 0.8:
        items, at = list(tree), random.randrange(len(tree))
        match random.randrange(5):
            case 0:
                del items[at]
            case 1:
                items.insert(at, items[random.randrange(len(items))])
            case 2:
                items *= 2 if len(items) > 100 else random.choice((2, 40))
            case _:
                items[at] = _bent_once(random, items[at], words)
        return items
    return _value(random, words)


def _key(random: Random, words: Sequence[bytes]) -> str:
    if words and random.random() < 0.7:
        return random.choice(words).decode("utf-8", "replace")
    return random.choice(KEYS)


def _value(random: Random, words: Sequence[bytes]) -> Any:
    match random.randrange(12):
        case 0 | 1 | 2:
            return Verbatim(random.choice(NUMBERS))
        case 3 | 4 | 5:
            return random.choice(TEXTS)
        case 6:
            return random.choice((None, True, False, Pairs(), []))
        case 7:
            depth = random.choice((3, 60, 101, 149, 200, 511, 513, 990, 1100, 20_000))
            opened, closed = random.choice((("[", "]"), ('{"a":', "}"), ('[{"data":', "}]")))
            return Verbatim(opened * depth + random.choice(("1", "{}", '"x"', "")) + closed * depth)
        case 8:
            return [Verbatim(random.choice(NUMBERS)) for _ in range(random.choice((1, 3, 300)))]
        case 9:
            return Pairs(
                (_key(random, words), random.choice(TEXTS)) for _ in range(random.choice((1, 2, 30)))
            )
        case 10 if words:
            return random.choice(words).decode("utf-8", "replace")
        case _:
            return random.randrange(-5, 1 << random.choice((3, 31, 53, 64, 70)))


# Far above what is tried; a tree may have grown a millionfold.
_MOST_SPELLED = 1 << 20


def spelled(random: Random, tree: Any) -> str:
    """JSON text of a tree, in one of the spellings that a value has."""
    space = random.choice(("", "", "", " ", "\n\t", "\r"))
    ascii_only = random.random() < 0.5
    written: list[str] = []
    left: list[Any] = [tree]
    size = 0
    while left and size < _MOST_SPELLED:
        item = left.pop()
        size += len(item) if isinstance(item, str) else 1
        if isinstance(item, bytes):
            written.append(item.decode())
        elif isinstance(item, Pairs):
            left.append(b"}")
            for index, (key, value) in reversed(list(enumerate(item))):
                colon = (json.dumps(key, ensure_ascii=ascii_only) + space + ":").encode(
                    "utf-8", "backslashreplace"
                )
                left += (value, colon, b"," if index else b"")
            left.append(b"{")
        elif isinstance(item, list):
            left.append(b"]")
            for index, value in reversed(list(enumerate(item))):
                left += (value, b"," if index else b"")
            left.append(b"[")
        elif isinstance(item, Verbatim):
            written.append(item + space)
        else:
            written.append(json.dumps(item, ensure_ascii=ascii_only) + space)
    return "".join(written)


YAML_WORDS = (
    b"&a ", b"*a", b"*b", b"<<: *a", b"<<: [*a, *a]", b"&a [*a]", b"&a {b: *a}", b"!!python/object/apply:os.system [id]",
    b"!!binary ", b"!!set ", b"!!omap ", b"!!float ", b"!!int ", b"!!timestamp ", b"!x ", b"!!str ", b"? ", b"- ", b": ", b"|",
    b">", b"|+9\n", b"---\n", b"...\n", b"%YAML 9.9\n---\n", b"# ", b"\t", b"~", b"null", b"yes", b".nan", b".inf", b"-.inf",
    b"1e999", b"0x", b"0b2", b"0o8", b"1:90", b"190:20:30", b"2026-13-01", b"2026-02-30", b"2026-01-31T25:00:00Z", b"9" * 5000,
    b"0x" + b"f" * 5000, b"1_000", b"'", b'"', b"{", b"[", b"}", b"]", b"{}", b"[]", b"[" * 500, b"[" * 3000, b"{a: " * 700,
    b"- " * 1200, b"? " * 1200, b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\0", b"\x07", b"\xff", b"=", b"<<: 1",
    b"<<: [1]", b"k" * 2000 + b": 1",
    b"".join(
        b"%c: &%c [%b]\n" % (name, name, b",".join([b"*%c" % (name - 1) if name > 97 else b"1"] * 9)) for name in range(97, 104)
    ),
)  # fmt: skip


def mutated_yaml(random: Random, good: bytes, words: Sequence[bytes], most: int) -> bytes:
    """Some steps on lines and on the values in them; now and then steps on the bytes."""
    if random.random() < 0.2:
        return mutated_bytes(random, good, YAML_WORDS, most)
    lines = good.split(b"\n")
    for _ in range(1 + int(random.expovariate(0.6))):
        _line_step(random, lines, words)
    return b"\n".join(lines)[:most]


def _line_step(random: Random, lines: list[bytes], words: Sequence[bytes]) -> None:
    at = random.randrange(len(lines))
    line = lines[at]
    indent = line[: len(line) - len(line.lstrip(b" "))]
    key, colon, _ = line.partition(b":")
    match random.randrange(9):
        case 0:
            del lines[at : at + random.choice((1, 1, 5))]
            lines[:] = lines or [b""]
        case 1:
            lines.insert(at, lines[random.randrange(len(lines))])
        case 2:
            lines[at] = b" " * random.choice((0, 1, 2, 4, 40)) + line.lstrip()
        case 3 | 4 | 5 if colon:
            lines[at] = key + b": " + _yaml_value(random, words)
        case 6:
            lines[at] = indent + _yaml_value(random, words) + b": " + _yaml_value(random, words)
        case 7:
            here = random.randrange(len(line) + 1)
            lines[at] = line[:here] + random.choice(YAML_WORDS) + line[here:]
        case _:
            lines.insert(at, indent + random.choice(YAML_WORDS))


def _yaml_value(random: Random, words: Sequence[bytes]) -> bytes:
    match random.randrange(5):
        case 0 if words:
            return random.choice(words)
        case 1:
            return random.choice(NUMBERS).encode()
        case 2:
            return json.dumps(random.choice(TEXTS)).encode()
        case _:
            return random.choice(YAML_WORDS)
