"""JSON as text: parsed, written, and taken apart without touching the text of its values.

Two decoders stand behind it. msgspec is quick and keeps integers exact, but refuses lone surrogates; the standard library accepts
what the JSON grammar allows and finds where a value begins and ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from decimal import Decimal
from functools import cache
from itertools import accumulate
from math import isfinite
from typing import Any, TypeVar

import msgspec

from migctl.events.numbers import no_constant, read_integer

_raw_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_items = msgspec.json.Decoder(list[msgspec.Raw])
_any = msgspec.json.Decoder()
_string = msgspec.json.Encoder()

# To the brackets of a text, as steps into it and out of it. A string without an end goes to the end of the text: looked for from
# each quote in it anew, that end would take hours to be missed.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))
# What comes next in a text: a bracket, or a comma too. Nothing is made of what is passed over.
_NEXT = re.compile(rb'(?:[^"\[\]{},]++|"(?:[^"\\]|\\.)*+")*+([\[\]{},])', re.DOTALL)
_NEXT_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]|\\.)*+")*+([\[\]{}])', re.DOTALL)

# A value of its own takes a hundred times the byte that it may be in the text; so they are counted before they are made.
MOST_MEMBERS = 10_000
MOST_ITEMS = 100_000
# So many commas, wherever they stand, are not worth counting.
_FEW = 100_000


T = TypeVar("T")


class TooDeep(ValueError):
    """More levels than the interpreter's stack takes, which is not the same number everywhere."""


def loads(text: bytes | str) -> Any:
    """Parse JSON as strictly as RFC 8259 and as leniently: exact integers, lone surrogates allowed, no NaN.

    An integer of more than 4300 digits comes as a Decimal; a fraction or an exponent makes a float.
    Raises ValueError.
    """
    try:
        return _any.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _slow_loads(text)


def typed(decoder: msgspec.json.Decoder[T], text: bytes | str) -> T:
    """What a decoder of msgspec makes of a text that may be anybody's. Raises ValueError for whatever is wrong with it.

    Nesting without end is, too, also in a part that the type does not have, and that is passed over.
    """
    try:
        return decoder.decode(text)
    except RecursionError:
        raise TooDeep("it is nested too deeply") from None


def read_as(text: bytes | str, kind: type[T]) -> T:
    """A value of this type, from a text that may be anybody's. Raises ValueError as `typed`."""
    found: T = typed(_decoder_of(kind), text)  # type: ignore[arg-type]
    return found


@cache  # of types, of which there are as many as the code names
def _decoder_of(kind: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _slow_loads(text: bytes | str) -> Any:
    try:
        # Decoded here: json.loads would guess UTF-16 from NULs, and let surrogates pass as raw bytes.
        decoded = text.decode() if isinstance(text, bytes) else text
        return json.loads(decoded, parse_int=read_integer, parse_constant=no_constant)
    except RecursionError:
        raise TooDeep("nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None


def quote(text: str) -> bytes:
    """A JSON string, UTF-8."""
    try:
        return _string.encode(text)
    except UnicodeEncodeError:  # a lone surrogate: only an escape can say it
        return json.dumps(text).encode()


def dumps(value: object) -> bytes:
    """Compact JSON, UTF-8."""
    try:
        return _string.encode(value)
    except UnicodeEncodeError:  # a lone surrogate: only an escape can say it
        return json.dumps(_finite(msgspec.to_builtins(value)), separators=(",", ":")).encode()


def _finite(value: Any) -> Any:
    """What is no number of JSON is null, as the quick encoder has it."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def depth_of(text: bytes) -> int:
    """How deeply a JSON text is nested: 1 for an object of plain values. It only counts, so nothing is too deep for it."""
    brackets = _STRING.sub(b"", text).translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(memoryview(brackets).cast("b"), initial=0))


class TooMany(ValueError):
    """More members or items than anybody meant. most: so many are taken."""

    def __init__(self, most: int) -> None:
        super().__init__(f"more than {most} values")
        self.most = most


def check_count(text: bytes, most: int) -> None:
    """Raises TooMany where an object or an array has more values than that. It only counts: nothing is made of them.

    text: valid JSON; of what is none anything may be said.
    """
    if text.count(b",") < max(most, _FEW):
        return
    depth = commas = 0
    found = _NEXT.match(text)
    while found is not None:
        step = found[1]
        if step == b",":
            commas += 1
            if commas >= most:
                raise TooMany(most)
        else:
            depth += 1 if step in (b"[", b"{") else -1
        found = (_NEXT if depth <= 1 else _NEXT_BRACKET).match(text, found.end())


def split_object(text: bytes) -> dict[str, bytes]:
    """The members of a JSON object, each value as the text it had. Duplicate keys: the last wins, as everywhere.

    Raises ValueError where `text` is no JSON object, TooMany where it has more than MOST_MEMBERS.
    """
    check_count(text, MOST_MEMBERS)
    try:
        return {key: bytes(raw) for key, raw in _raw_members.decode(text).items()}
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _slow_members(text)


def split_array(text: bytes, most: int = MOST_ITEMS) -> list[bytes]:
    """The items of a JSON array, each as the text it had. Raises ValueError where `text` is no JSON array, TooMany."""
    check_count(text, most)
    try:
        return [bytes(raw) for raw in _raw_items.decode(text)]
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _slow_items(text)


def _slow_members(data: bytes) -> dict[str, bytes]:
    """Like split_object, on the standard library's scanner, for texts with lone surrogates."""
    text = data.decode("utf-8", "strict")
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("expected a JSON object")
    members: dict[str, bytes] = {}
    at = _skip(text, at + 1)
    if text[at : at + 1] != "}":
        while True:
            key, end = _scan(text, at)
            if not isinstance(key, str):
                raise ValueError("expected a string as key")
            at = _expect(text, end, ":")
            at = _skip(text, at)
            _, end = _scan(text, at)
            members[key] = text[at:end].encode()
            at = _skip(text, end)
            if text[at : at + 1] == "}":
                break
            at = _skip(text, _expect(text, at, ","))
    _nothing_after(text, at + 1)
    return members


def _slow_items(data: bytes) -> list[bytes]:
    text = data.decode("utf-8", "strict")
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        raise ValueError("expected a JSON array")
    items: list[bytes] = []
    at = _skip(text, at + 1)
    if text[at : at + 1] != "]":
        while True:
            _, end = _scan(text, at)
            items.append(text[at:end].encode())
            at = _skip(text, end)
            if text[at : at + 1] == "]":
                break
            at = _skip(text, _expect(text, at, ","))
    _nothing_after(text, at + 1)
    return items


_BLANK = re.compile(r"[ \t\r\n]*+")
_scanner = json.JSONDecoder(parse_int=read_integer, parse_constant=no_constant)


def _scan(text: str, at: int) -> tuple[Any, int]:
    try:
        return _scanner.raw_decode(text, at)
    except RecursionError:
        raise TooDeep("nested too deeply") from None


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    assert blank is not None  # be it empty
    return blank.end()


def _expect(text: str, at: int, char: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != char:
        raise ValueError(f"expected {char!r} at character {at}")
    return at + 1


def _nothing_after(text: str, at: int) -> None:
    if _skip(text, at) != len(text):
        raise ValueError(f"unexpected text after the value, at character {at}")


def type_word_of(text: bytes) -> str:
    """The same of a value as the text it has, without reading it: it may be long."""
    words = {
        b"{": "an object",
        b"[": "an array",
        b'"': "a string",
        b"t": "a boolean",
        b"f": "a boolean",
        b"n": "null",
    }
    return words.get(text.lstrip()[:1], "a number")


def type_word(value: object) -> str:
    """What JSON calls this value: for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float, Decimal)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


def one_line(text: bytes) -> bytes:
    """The same JSON without raw line breaks."""
    if b"\n" in text or b"\r" in text:
        return text.replace(b"\r", b" ").replace(b"\n", b" ")
    return text
