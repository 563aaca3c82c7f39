"""Hints of any run of entries: bounded, contiguous, complete, and readable by a client of doubles."""

from __future__ import annotations

import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from migctl.transports.realtime import hints
from tests.kit import documents
from tests.kit.entries import entry


@given(
    st.lists(
        st.one_of(st.integers(0, 5000), documents.objects.map(documents.plain)), min_size=1, max_size=40
    ),
    st.integers(1, 2**62),
    st.integers(1024, 20_000),
)
def test_hints_are_bounded_and_their_events_make_the_run_again(datas, first: int, max_bytes: int) -> None:
    entries = [
        entry(first + index, data.encode() if isinstance(data, str) else b'{"a":"%b"}' % (b"x" * data))
        for index, data in enumerate(datas)
    ]
    expected = first
    for hint in hints.hints(entries, table_head=first - 1, max_bytes=max_bytes):
        assert len(hint.payload) <= max_bytes
        said = json.loads(hint.payload)
        assert (said["first"], said["last"]) == (hint.first, hint.last)
        assert hint.first == expected
        assert [event["seq"] for event in said["events"]] == list(range(hint.first, hint.last + 1))
        expected = hint.last + 1
    assert expected == first + len(entries)


@given(documents.objects.map(documents.plain))
def test_numbers_that_go_whole_survive_a_client_of_doubles(text: str) -> None:
    if hints.survives_clients(text.encode()):
        bent = json.loads(
            text,
            parse_int=lambda number: Decimal(repr(float(number))),
            parse_float=lambda number: Decimal(repr(float(number))),
        )
        assert bent == json.loads(text, parse_int=Decimal, parse_float=Decimal)
