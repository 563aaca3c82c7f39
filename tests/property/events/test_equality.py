"""equal() and body_hash: blind to spelling, and to nothing else."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st

from migctl.events import Event
from migctl.events.canonical import body_hash, canonical
from migctl.events.equality import Equality, differences, equal
from tests.kit.documents import Num, numbers, objects, plain, respelled, values

MOMENT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def event(data: str) -> Event:
    return Event(id="0" * 36, event_type="t", timestamp=MOMENT, source="s", data=data.encode())


@st.composite
def two_spellings(draw: st.DrawFn) -> tuple[str, str]:
    value = draw(objects)
    return plain(value), draw(respelled(value))


@st.composite
def mutated(draw: st.DrawFn) -> tuple[Any, Any]:
    """A document, and the same with one value replaced, one member added or one removed."""
    document = draw(objects)
    return document, draw(_mutation(document))


@st.composite
def _mutation(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, dict) and draw(st.booleans()):
        names = sorted(value)
        step = draw(st.sampled_from(["inside", "add", "remove"] if names else ["add"]))
        if step == "add":
            return value | {draw(st.text("xyz", min_size=6, max_size=9)): draw(values)}
        name = draw(st.sampled_from(names))
        if step == "remove":
            return {key: item for key, item in value.items() if key != name}
        return value | {name: draw(_mutation(value[name]))}
    if isinstance(value, list) and value and draw(st.booleans()):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], draw(_mutation(value[at])), *value[at + 1 :]]
    if isinstance(value, dict):
        return {"replaced": 1, **value}
    return draw(values)


def model(value: Any) -> Any:
    """What a document means, built from the document and not from its text: equal models, equal documents."""
    if isinstance(value, Num):
        return ("number", Decimal(value))
    if isinstance(value, dict):
        return ("object", {key: model(item) for key, item in value.items()})
    if isinstance(value, list):
        return ("array", [model(item) for item in value])
    return (type(value).__name__, value)


def doubled(value: Any) -> Any:
    """The same, with numbers that have a fraction or an exponent as doubles, and a mark at those that have none."""
    kind, inner = model(value)
    if kind == "number":
        return ("number", float(Decimal(value)))
    if kind == "object":
        return (kind, {key: doubled(item) for key, item in value.items()})
    if kind == "array":
        return (kind, [doubled(item) for item in value])
    return (kind, inner)


@given(two_spellings())
@example(('{"a":1}', '{"a":1.0}'))
@example(('{"a":100}', '{"a":1e2}'))
@example(('{"a":-0.0}', '{"a":0}'))
@example(('{"a":1E400}', '{"a":1' + "0" * 400 + "}"))
@example(('{"a":[true,1]}', '{"a":[false,0],"a":[true,1]}'))
@example(('{"a":' + "7" * 5000 + "}", '{"a":' + "7" * 5000 + ".00}"))
@example(('{"a":1e400000}', '{"a":10e399999}'))
@example(('{"a":1e99999999999999999999999}', '{"a":0.1e100000000000000000000000}'))
@example(('{"\\ud800":"\\udc00x"}', '{ "\\uD800" : "\\uDC00\\u0078" }'))
@example(('{"a":"\\u0000"}', '{"a":"\\u0000","a":"\\u0000"}'))
def test_two_spellings_of_one_document_are_the_same(pair: tuple[str, str]) -> None:
    left, right = (text.encode() for text in pair)
    assert equal(left, right) is Equality.SAME
    assert equal(right, left) is Equality.SAME
    assert differences(left, right) == []
    assert canonical(left) == canonical(right)
    assert body_hash(event(pair[0])) == body_hash(event(pair[1]))


@given(mutated(), st.data())
def test_a_changed_document_is_never_the_same(pair: tuple[Any, Any], data: st.DataObject) -> None:
    before, after = pair
    assume(model(before) != model(after))
    left, right = plain(before).encode(), data.draw(respelled(after)).encode()
    verdict = equal(left, right)
    assert verdict is not Equality.SAME
    assert equal(right, left) is verdict
    assert differences(left, right)
    assert canonical(left) != canonical(right)
    if doubled(before) != doubled(after):
        assert verdict is Equality.DIFFERENT


@given(numbers, numbers)
@example(Num("9007199254740993"), Num("9007199254740992"))
@example(Num("9007199254740993"), Num("9007199254740992.0"))
@example(Num("0.1"), Num("0.1000000000000000055511151231257827"))
@example(Num("1e400"), Num("1e401"))
@example(Num("1e-400"), Num("0"))
def test_number_precision_is_a_fraction_or_exponent_with_the_same_finite_double(a: Num, b: Num) -> None:
    assume(Decimal(a) != Decimal(b))
    left, right = float(Decimal(a)), float(Decimal(b))
    integers = not any(sign in a + b for sign in ".eE")
    expected = (
        Equality.NUMBER_PRECISION
        if left == right and math.isfinite(left) and not integers
        else Equality.DIFFERENT
    )
    assert equal(f'{{"n":{a}}}'.encode(), f'{{"n":{b}}}'.encode()) is expected


@given(st.sampled_from([("true", "1"), ("false", "0"), ("true", "1.0"), ("null", "0"), ("1", '"1"')]), values)
def test_a_boolean_is_never_a_number(pair: tuple[str, str], beside: Any) -> None:
    left, right = (f'{{"deep":[{{"x":{text}}}],"beside":{plain(beside)}}}'.encode() for text in pair)
    assert equal(left, right) is Equality.DIFFERENT
    assert canonical(left) != canonical(right)
    assert [(d.path, d.kind) for d in differences(left, right)] == [(".deep[0].x", "type")]


@given(objects)
def test_what_python_reads_and_writes_again_is_at_most_number_precision(document: dict[str, Any]) -> None:
    text = plain(document)
    again = json.dumps(json.loads(text))
    assume("Infinity" not in again)
    assert equal(text.encode(), again.encode()) is not Equality.DIFFERENT


def test_vast_numbers_that_differ_are_different() -> None:
    assert equal(b"[1e99999999999999999999999]", b"[1e99999999999999999999998]") is Equality.DIFFERENT
    assert equal(b"[1e99999999999999999999999]", b"[-1e99999999999999999999999]") is Equality.DIFFERENT
    assert equal(b"[1e99999999999999999999999]", b"[1]") is Equality.DIFFERENT
    long = b"[" + b"8" * 5000 + b"1]"
    assert equal(long, b"[" + b"8" * 5000 + b"2]") is Equality.DIFFERENT
    assert equal(long, b"[" + b"8" * 5000 + b"1.5]") is Equality.DIFFERENT


def test_paths_say_where_and_how() -> None:
    left = b'{"disks":[{"used":1},{"used":2}],"gone":1,"odd key":1,"n":0.1,"l":[1,2]}'
    right = b'{"disks":[{"used":1},{"used":3}],"new":1,"odd key":"1","n":0.10000000000000001,"l":[1]}'
    found = {(d.path, d.kind) for d in differences(left, right)}
    assert found == {
        (".disks[1].used", "value"),
        (".gone", "removed"),
        (".new", "added"),
        ('["odd key"]', "type"),
        (".n", "number_precision"),
        (".l[1]", "removed"),
    }


def test_body_hash_covers_each_part_but_an_arrival_time() -> None:
    base = event('{"a":1}')

    def changed(**parts: Any) -> bytes:
        fields = {name: getattr(base, name) for name in base.__struct_fields__} | parts
        return body_hash(Event(**fields))

    later = MOMENT.replace(microsecond=1)
    others = [
        changed(event_type="u"),
        changed(timestamp=later),
        changed(source="t"),
        changed(data=b'{"a":2}'),
        changed(clock="arrival"),
    ]
    assert len({body_hash(base), *others}) == 6
    assert changed(clock="arrival") == changed(clock="arrival", timestamp=later)
    assert changed(id="1" * 36) == body_hash(base)
