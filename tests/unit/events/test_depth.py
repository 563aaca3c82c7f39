"""Depth: what is nested more deeply than anybody would read is refused, by one bound, whatever way it comes."""

from __future__ import annotations

import pytest

from migctl.errors import Poison
from migctl.events import BadEvent, Event, decode_event, encode_event
from migctl.events.canonical import body_hash
from migctl.events.codec import MAX_DATA_DEPTH
from migctl.events.equality import Equality, equal
from migctl.events.jsontext import depth_of, loads
from migctl.ingest import Mapper
from migctl.ingest.frames import events_of
from migctl.ingest.http import BadBody, parse_events
from migctl.publisher.drafts import draft
from tests.kit.entries import START, nested

# Of lone surrogates and vast numbers the quick parsers know nothing.
INNER = [b"1", b'"\\ud800"', b"1e400000", b"9" * 5000]
TOO_DEEP = [513, 520, 990, 1000, 5000, 200_000]


def test_bound_is_the_one_that_is_documented() -> None:
    assert MAX_DATA_DEPTH == 512


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        (b"1", 0), (b"{}", 1), (b"[[],[[]],{}]", 3), (rb'{"a":"[[[","b":"\"{[","c":"\\","d":[1]}', 2),
        (b'{"[":[],"{":{}}', 2), (nested(511), 511), (nested(200_000), 200_000), (b"]]}}", 0), (b'"[[[', 0), (b'[["[\\', 2),
    ],
)  # fmt: skip
def test_depth_is_that_of_brackets_outside_of_strings(text: bytes, depth: int) -> None:
    assert max(0, depth_of(text)) == depth


def _posted(data: bytes) -> bytes:
    return b'{"event_type":"x","data":%b}' % data


def _decoded(data: bytes) -> Event:
    return decode_event(_posted(data), arrived=START, default_source="s")


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("levels", [511, 512])
def test_up_to_the_bound_an_event_is_taken_and_can_be_compared_and_written_again(
    levels: int, inner: bytes
) -> None:
    data = nested(levels, inner)
    event = _decoded(data)
    assert event.data == data
    assert decode_event(encode_event(event), arrived=START, default_source="") == event
    assert body_hash(event) == body_hash(_decoded(data.replace(b" ", b"")))
    assert equal(data, data.replace(b" ", b"  ")) is Equality.SAME
    assert equal(data, nested(levels, b"2")) is Equality.DIFFERENT
    assert parse_events(b"[%b]" % _posted(data), arrived=START, default_source="s")[0].data == data
    assert Mapper().event(_posted(data), arrived=START) is not None
    assert draft("x", data, id=None, timestamp=None, source=None, default_source="s").data == data


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("levels", TOO_DEEP)
def test_above_it_an_event_is_refused_and_the_bound_is_named(levels: int, inner: bytes) -> None:
    data = nested(levels, inner)
    with pytest.raises(BadEvent, match="512 levels") as refused:
        _decoded(data)
    assert refused.value.code == "depth"
    for body in (_posted(data), b"[%b]" % _posted(data), b"%b\n%b" % (_posted(b"{}"), _posted(data))):
        with pytest.raises(BadBody, match="512 levels") as bad:
            parse_events(body, arrived=START, default_source="s")
        assert bad.value.status == 422
        assert [error.code for error in bad.value.errors] == ["depth"]
    with pytest.raises(BadEvent, match="512 levels"):
        for text in events_of(b"[%b]" % _posted(data)):
            Mapper().event(text, arrived=START)
    with pytest.raises(Poison, match="512 levels"):
        draft("x", data, id=None, timestamp=None, source=None, default_source="s")


@pytest.mark.parametrize("levels", [513, 5000])
def test_a_mapping_that_is_too_deep_is_refused_too(levels: int) -> None:
    data: dict[str, object] = {}
    for _ in range(levels - 1):
        data = {"a": data}
    with pytest.raises(Poison, match="512 levels"):
        draft("x", data, id=None, timestamp=None, source=None, default_source="s")
    assert draft("x", loads(nested(512)), id=None, timestamp=None, source=None, default_source="s").data


def test_a_member_that_a_later_one_of_its_name_hides_counts() -> None:
    with pytest.raises(BadEvent, match="512 levels"):
        _decoded(b'{"a":%b,"a":1}' % nested(600))


def test_source_id_is_checked_as_an_id_is() -> None:
    """It goes to subscribers, tables and captures: what none of them could hold is refused at the door."""
    for source_id, code in ((b"\\ud800", "surrogate"), (b"x" * 513, "long"), (b"a\\u0000", "control")):
        text = b'{"event_type":"x","data":{},"source_id":"%b"}' % source_id
        with pytest.raises(BadEvent) as refused:
            decode_event(text, arrived=START, default_source="s")
        assert (refused.value.field, refused.value.code) == ("source_id", code)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [b'"' + b'\\"' * 500_000, b'"\\' * 300_000, b'["' * 500_000],
    ids=["quotes", "one string", "brackets"],
)
def test_quotes_without_end_are_counted_in_one_sweep(text: bytes) -> None:
    """Looked at once more from each quote on they would take hours, in which nobody else is served."""
    assert depth_of(text) >= 0
