"""JSON text: read as the grammar allows, taken apart without a change to a byte of its values."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.events.jsontext import (
    dumps,
    loads,
    one_line,
    quote,
    read_as,
    split_array,
    split_object,
    type_word,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_what_is_split_is_the_text_that_stood_there(value: object, ascii_: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_, indent=indent).encode("utf-8", "surrogatepass")
    if isinstance(value, dict):
        members = split_object(text)
        assert {key: json.loads(part) for key, part in members.items()} == value
        assert all(part in text for part in members.values())
    elif isinstance(value, list):
        items = split_array(text)
        assert [json.loads(part) for part in items] == value
        assert all(part in text for part in items)
    else:
        for split in (split_object, split_array):
            with pytest.raises(ValueError, match=r"."):
                split(text)


@pytest.mark.parametrize(
    "text", [rb'{"a": "\ud800", "b": 1.50, "a": 1e400}', b' {"a" : "\\ud800" , "b":1.50 , "a":1e400} ']
)
def test_a_lone_surrogate_takes_the_patient_way_to_the_same_parts(text: bytes) -> None:
    assert split_object(text) == {"a": b"1e400", "b": b"1.50"}
    assert split_array(b'["\\ud800", 1.50 ,{}]') == [b'"\\ud800"', b"1.50", b"{}"]
    assert split_object(b'{"\\ud800": {}, "b": []}') == {"\ud800": b"{}", "b": b"[]"}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nul",
        b"NaN",
        b"[1,]",
        b'{"a":1,}',
        b'{"a" 1}',
        b'{1:"\\ud800"}',
        b'{"a":"\\ud800"} x',
        b'["\\ud800"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"[" * 100_000,
        b'{"a":"\\ud800", "b":' + b"[" * 100_000,
    ],
)
def test_what_is_no_json_is_a_value_error_and_nothing_else(text: bytes) -> None:
    for read in (loads, split_object, split_array):
        with pytest.raises(ValueError, match=r"."):
            read(text)


def test_integers_are_exact_at_any_length() -> None:
    assert loads(b"123456789012345678901234567890") == 123456789012345678901234567890
    assert loads(b"9" * 5000) == Decimal("9" * 5000)
    assert loads('"\\ud800"') == "\ud800"


def test_what_is_written_is_compact_and_a_lone_surrogate_is_escaped() -> None:
    assert dumps({"a": [1, "ä"]}) == '{"a":[1,"ä"]}'.encode()
    assert dumps({"a": "\ud800"}) == b'{"a":"\\ud800"}'
    assert quote('a"b') == b'"a\\"b"'


def test_a_line_is_one_line_and_the_same_json() -> None:
    text = b'{\r\n "a": 1,\n "b": 2\n}'
    assert b"\n" not in one_line(text)
    assert json.loads(one_line(text)) == json.loads(text)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (None, "null"),
        (True, "a boolean"),
        (1, "a number"),
        (Decimal(1), "a number"),
        ("", "a string"),
        ([], "an array"),
        ({}, "an object"),
    ],
)
def test_a_value_is_called_what_json_calls_it(value: object, word: str) -> None:
    assert type_word(value) == word


@pytest.mark.parametrize("quick", ["a", "\ud800"])
def test_what_is_written_is_the_same_json_with_half_a_character_beside_it(quick: str) -> None:
    value = {"a": quick, "inf": float("inf"), "list": [float("nan"), (1, 2)]}
    assert loads(dumps(value)) == {"a": quick, "inf": None, "list": [None, [1, 2]]}
    assert loads(quote(quick)) == quick


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 5000,
        b'{"b":' * 3000,
        b'{"a":1,"b":' + b"[" * 1500 + b"]" * 1500 + b"}",
        b"\xff",
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":%b}' % (b"9" * 5000),
        b"",
    ],
    ids=[
        "open",
        "open objects",
        "deep below a key that the type has not",
        "no UTF-8",
        "half a character",
        "digits",
        "nothing",
    ],
)
def test_text_that_is_no_value_of_a_type_is_a_value_error_and_nothing_else(text: bytes) -> None:
    for kind in (dict[str, int], list[str], _Shape):
        with pytest.raises(ValueError, match=r"."):
            read_as(text, kind)


class _Shape(msgspec.Struct):
    a: int
