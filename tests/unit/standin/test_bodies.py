"""A body is one JSON text whatever it came as, or it is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.stack.standin.rest.bodies import read_body
from migctl.stack.standin.rest.errors import RestError


@pytest.mark.parametrize("kind", [None, "application/json", "Application/JSON; charset=utf-8"])
def test_json_is_passed_on_as_it_is(kind: str | None) -> None:
    assert read_body(b' {"a": 1e400, "a": 2}', kind) == ' {"a": 1e400, "a": 2}'


def test_lines_that_are_longer_than_their_head_are_cut_and_no_line_is_no_row() -> None:
    assert json.loads(read_body(b"a,b\n1,2,3\n\n", "text/csv")) == [{"a": "1", "b": "2"}]
    assert json.loads(read_body(b"a,b\n", "text/csv")) == []


@pytest.mark.parametrize("kind", ["application/json", "text/csv", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("raw", [b"a\xff", b"a\x00"])
def test_text_that_postgresql_can_not_hold_is_refused_whatever_it_is(kind: str, raw: bytes) -> None:
    with pytest.raises(RestError) as found:
        read_body(raw, kind)
    assert (found.value.status, found.value.code) == (400, "22021")


@given(st.binary(max_size=200), st.sampled_from(["text/csv", "application/x-www-form-urlencoded", "a/b"]))
def test_any_bytes_are_rows_or_refused(raw: bytes, kind: str) -> None:
    try:
        found = json.loads(read_body(raw, kind))
    except RestError as error:
        assert error.status == 400
    else:
        assert isinstance(found, list | dict)
