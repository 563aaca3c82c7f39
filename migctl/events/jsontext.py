"""JSON as text: parsed, written, and taken apart without touching the text of its values.

Two decoders stand behind it. msgspec is quick and keeps integers exact, but refuses lone surrogates; the standard library accepts
what the JSON grammar allows and finds where a value begins and ends.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from itertools import accumulate
from typing import Any

import msgspec

from migctl.events.numbers import no_constant, read_integer

_raw_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_items = msgspec.json.Decoder(list[msgspec.Raw])
_any = msgspec.json.Decoder()
_string = msgspec.json.Encoder()

# To the brackets of a text, as steps into it and out of it.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))


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
    return _string.encode(text)


def dumps(value: object) -> bytes:
    """Compact JSON, UTF-8."""
    try:
        return _string.encode(value)
    except UnicodeEncodeError:  # a lone surrogate: only an escape can say it
        return json.dumps(value, separators=(",", ":")).encode()


def depth_of(text: bytes) -> int:
    """How deeply a JSON text is nested: 1 for an object of plain values. It only counts, so nothing is too deep for it."""
    brackets = _STRING.sub(b"", text).translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0)


def split_object(text: bytes) -> dict[str, bytes]:
    """The members of a JSON object, each value as the text it had. Duplicate keys: the last wins, as everywhere.

    Raises ValueError where `text` is no JSON object.
    """
    try:
        return {key: bytes(raw) for key, raw in _raw_members.decode(text).items()}
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _slow_members(text)


def split_array(text: bytes) -> list[bytes]:
    """The items of a JSON array, each as the text it had. Raises ValueError where `text` is no JSON array."""
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


_scanner = json.JSONDecoder(parse_int=read_integer, parse_constant=no_constant)


def _scan(text: str, at: int) -> tuple[Any, int]:
    try:
        return _scanner.raw_decode(text, at)
    except RecursionError:
        raise TooDeep("nested too deeply") from None


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _expect(text: str, at: int, char: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != char:
        raise ValueError(f"expected {char!r} at character {at}")
    return at + 1


def _nothing_after(text: str, at: int) -> None:
    if _skip(text, at) != len(text):
        raise ValueError(f"unexpected text after the value, at character {at}")


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
