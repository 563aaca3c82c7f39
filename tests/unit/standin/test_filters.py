"""PostgREST's query language, as it becomes SQL."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.stack.standin.rest.filters import (
    BadQuery,
    Params,
    array_literal,
    parse_condition,
    parse_logic,
    to_sql,
)
from migctl.stack.standin.rest.request import Prefer, parse, parse_order, parse_select

TYPES = {"seq": "bigint", "data": "jsonb", "name": "text"}


def sql(key: str, value: str) -> tuple[str, list[object]]:
    params = Params()
    tree = parse_logic(key, value) if key.rpartition(".")[2] in ("and", "or") else parse_condition(key, value)
    return to_sql(tree, TYPES, params), params.values


@pytest.mark.parametrize(
    ("key", "value", "text", "params"),
    [
        ("seq", "eq.5", '"seq" = $1', ["5"]),
        ("seq", "not.gte.5", 'NOT "seq" >= $1', ["5"]),
        ("name", "eq.a.b,c", '"name" = $1', ["a.b,c"]),
        ("name", "like.a*", '"name" like $1', ["a%"]),
        ("name", "is.NULL", '"name" IS NULL', []),
        ("name", "is.not_null", '"name" IS NOT NULL', []),
        ("seq", "in.(1,2)", '"seq" = ANY ($1)', ['{"1","2"}']),
        ("name", 'in.("a,b","c\\"d")', '"name" = ANY ($1)', ['{"a,b","c\\"d"}']),
        ("seq", "in.()", '"seq" = ANY ($1)', ["{}"]),
        ("seq", "eq(any).{1,2}", '"seq" = ANY($1)', ["{1,2}"]),
        ("data->a->>b", "eq.x", "\"data\"->'a'->>'b' = $1", ["x"]),
        ("name->>b", "eq.x", "to_jsonb(\"name\")->>'b' = $1", ["x"]),
        ("data->0", "eq.1", '"data"->0 = $1', ["1"]),
        ("or", "(seq.eq.1,name.not.is.null)", '("seq" = $1 OR NOT "name" IS NULL)', ["1"]),
        (
            "not.and",
            "(seq.gt.1,or(seq.lt.5,name.in.(a,b)))",
            'NOT ("seq" > $1 AND ("seq" < $2 OR "name" = ANY ($3)))',
            ["1", "5", '{"a","b"}'],
        ),
        ("or", '(name.eq."a,b)",seq.eq.1)', '("name" = $1 OR "seq" = $2)', ["a,b)", "1"]),
        ("data->--1->²", "eq.1", "\"data\"->'--1'->'²' = $1", ["1"]),
        ('"odd""', "eq.1", '"odd" = $1', ["1"]),
    ],
)
def test_a_filter_becomes_sql_with_its_values_apart(
    key: str, value: str, text: str, params: list[object]
) -> None:
    assert sql(key, value) == (text, params)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seq", "5"),
        ("seq", "foo.5"),
        ("seq", "is.5"),
        ("seq", "in.1"),
        ("seq", "eq(some).1"),
        ("or", "()"),
        ("or", "(seq.eq.1"),
        ("or", "(seq.eq.1)x"),
    ],
)
def test_what_postgrest_would_not_parse_is_refused(key: str, value: str) -> None:
    with pytest.raises(BadQuery):
        sql(key, value)


@given(st.text(), st.text())
def test_no_text_of_a_request_reaches_the_sql_unquoted(name: str, value: str) -> None:
    params = Params()
    try:
        text = to_sql(parse_condition(name, "eq." + value), TYPES, params)
    except BadQuery:
        return
    assert params.values == [value]
    assert re.fullmatch(r"(to_jsonb\(\))?(->>?(-?\d+)?)* = \$1", _outside_quotes(text))


def _outside_quotes(text: str) -> str:
    out, closing, at = "", "", 0
    while at < len(text):
        char = text[at]
        if closing:
            if char == closing:
                if text[at + 1 : at + 2] == closing:
                    at += 1
                else:
                    closing = ""
        elif char in "\"'":
            closing = char
            out = out.removesuffix("E")
        else:
            out += char
        at += 1
    assert not closing
    return out


def test_arrays_are_quoted_item_by_item() -> None:
    assert array_literal(('a"b', "c\\d", "")) == '{"a\\"b","c\\\\d",""}'


def test_select_takes_aliases_casts_and_paths() -> None:
    found = parse_select('*,no:seq,seq::text,data->a->>b,"odd name"')
    assert [(item.alias, item.field.name, item.cast) for item in found] == [
        (None, "*", None),
        ("no", "seq", None),
        (None, "seq", "text"),
        (None, "data", None),
        (None, "odd name", None),
    ]
    assert found[3].field.label == "b"
    for text in ("other(id)", "seq::int);drop", "a,,b"):
        with pytest.raises(BadQuery):
            parse_select(text)


def test_order_takes_directions_and_nulls() -> None:
    assert [item.suffix for item in parse_order("a,b.desc,c.asc.nullslast,d.nullsfirst")] == [
        "",
        "DESC",
        "ASC NULLS LAST",
        "NULLS FIRST",
    ]


def test_prefer_is_a_list_in_any_order_with_or_without_spaces() -> None:
    one = Prefer.parse(["return=representation,resolution=ignore-duplicates"])
    two = Prefer.parse(["resolution=ignore-duplicates", "count=exact, return=representation"])
    assert (
        (one.returned, one.resolution)
        == (two.returned, two.resolution)
        == ("representation", "ignore-duplicates")
    )
    assert two.count == "exact"


def test_what_was_applied_is_named_where_it_applies() -> None:
    prefer = Prefer.parse(
        [
            "handling=strict, max-affected=2, missing=default, count=exact, resolution=merge-duplicates, return=minimal"
        ]
    )
    assert prefer.applied("GET", rpc=False) == "count=exact, handling=strict"
    assert prefer.applied("POST", rpc=True) == "count=exact, handling=strict, max-affected=2"
    assert (
        prefer.applied("POST", rpc=False)
        == "resolution=merge-duplicates, missing=default, return=minimal, count=exact, handling=strict"
    )
    assert (
        prefer.applied("DELETE", rpc=False) == "return=minimal, count=exact, handling=strict, max-affected=2"
    )


def test_range_and_limit_narrow_each_other() -> None:
    asked = parse([("limit", "10"), ("offset", "3")], range_header="5-9")
    assert (asked.limit, asked.offset) == (5, 5)
    assert parse([("limit", "many")]).limit is None
