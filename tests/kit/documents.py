"""Hypothesis strategies for JSON documents: values with exact numbers, and every way of spelling one of them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

_WORDS = ["a", "b", "cpu", "used", "0", "", "true", "1", "é", "\U0001f600", "a.b", 'q"', "\\", "\t"]
keys = st.one_of(st.sampled_from(_WORDS), st.text(st.characters(exclude_categories=["Cs"]), max_size=5))
strings = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


class Num(str):
    """A number as text, so that nothing on the way to the document rounds it."""

    __slots__ = ()


def _integers() -> st.SearchStrategy[Num]:
    edges = [0, 1, -1, 2**53, 2**53 + 1, 2**63, 2**64, -(2**63), 10**29, 10**30, 10**40, 1609459200000000001]
    return st.one_of(st.sampled_from(edges), st.integers(-10, 10), st.integers(-(10**45), 10**45)).map(
        lambda value: Num(str(value))
    )


def _fractions() -> st.SearchStrategy[Num]:
    doubles = st.floats(allow_nan=False, allow_infinity=False).map(repr)
    decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40).map(
        str
    )
    edges = ["0.1", "0.10", "1.0", "1e2", "-0.0", "1E400", "5e-324", "4e-324", "1e-400", "9007199254740992.0"]
    return st.one_of(doubles, decimals, st.sampled_from(edges)).map(Num)


numbers = st.one_of(_integers(), _fractions())
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, strings),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)
objects = st.dictionaries(keys, values, max_size=6)


def plain(value: Any) -> str:
    """The value as JSON, spelled the everyday way."""
    if isinstance(value, Num):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{plain(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(plain, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


@st.composite
def respelled(draw: st.DrawFn, value: Any) -> str:
    """The same value as JSON in another spelling: order, duplicate keys, escapes, white space, numbers."""
    space = draw(st.sampled_from(["", "", " ", "\n", "\t "]))
    if isinstance(value, Num):
        return space + draw(_number(value)) + space
    if isinstance(value, dict):
        names = draw(st.permutations(list(value)))
        members = [f"{draw(_string(name))}:{draw(respelled(value[name]))}" for name in names]
        if names and draw(st.booleans()):  # an earlier member of the same name is overruled
            members.insert(0, f"{draw(_string(names[0]))}{space}:{space}[1,2]")
        return "{" + space + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(draw(respelled(item)) for item in value) + space + "]"
    if isinstance(value, str):
        return space + draw(_string(value))
    return space + json.dumps(value)


@st.composite
def _string(draw: st.DrawFn, text: str) -> str:
    if draw(st.booleans()):
        return json.dumps(text, ensure_ascii=False)
    units = text.encode("utf-16-be")
    return '"' + "".join(f"\\u{units[i] << 8 | units[i + 1]:04x}" for i in range(0, len(units), 2)) + '"'


@st.composite
def _number(draw: st.DrawFn, text: str) -> str:
    value = Decimal(text)
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    form = draw(st.sampled_from(["as it is", "exponent", "zeros", "plain"]))
    if form == "as it is" or abs(exponent) > 500:
        return text
    if form == "exponent":
        return (
            f"{'-' if sign else ''}{int(''.join(map(str, digits)))}{draw(st.sampled_from('eE'))}{exponent:+d}"
        )
    spelled = format(value, "f")
    if form == "zeros":
        return spelled + ("000" if "." in spelled else ".0")
    return spelled
