"""Properties: any key can be said as a path, and whatever stands there comes out byte for byte."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from migctl.events import BadEvent
from migctl.ingest import parse_map
from migctl.ingest.lines import Lines
from migctl.ingest.paths import BadPath, format_path, parse_paths

ARRIVED = datetime(2026, 1, 31, tzinfo=UTC)

keys = st.one_of(
    st.text(min_size=0, max_size=8),
    st.sampled_from(["a", "b c", ".", "|", '"', "[", "]", "a.b", "é", "😀", "\\", "0"]),
)
paths = st.lists(keys, max_size=5).map(tuple)
values: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
objects: Any = st.dictionaries(keys, values, max_size=4)


@given(st.lists(paths, min_size=1, max_size=4), st.sampled_from(["|", " | ", "|  "]))
def test_every_path_is_read_back_from_its_text(wanted: list[tuple[str, ...]], bar: str) -> None:
    assert parse_paths(bar.join(format_path(path) for path in wanted)) == tuple(wanted)


@given(st.text(alphabet='.ab[]"|\\ é0', max_size=20))
def test_any_text_is_read_or_refused_as_a_bad_path(text: str) -> None:
    try:
        found = parse_paths(text)
    except BadPath:
        return
    assert parse_paths("|".join(format_path(path) for path in found)) == found


@given(
    paths.filter(bool),
    objects,
    st.booleans(),
    st.sampled_from([None, 1]),
    st.lists(st.text(max_size=3), max_size=2),
)
def test_data_comes_out_of_any_place_byte_for_byte(
    path: tuple[str, ...], data: Any, ascii_only: bool, indent: int | None, beside: list[str]
) -> None:
    text = json.dumps(data, ensure_ascii=ascii_only, indent=indent)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(data)
    frame = text
    for depth, key in enumerate(reversed(path)):
        others = {f"beside {depth} {name}": name for name in beside}
        inside = "".join(f"{json.dumps(name)}: {json.dumps(value)}, " for name, value in others.items())
        frame = f"{{{inside}{json.dumps(key)} :\t{frame} }}"
    mapper = parse_map(
        [f"event_type={format_path(('no', 'such'))}|{format_path(path)}", f"data={format_path(path)}"]
    )
    # The type is an object here, which is refused; only the data is of interest.
    with contextlib.suppress(BadEvent):
        mapper.event(frame.encode(), arrived=ARRIVED)
    typed = f'{{"type of it":"x","inner":{frame}}}'
    mapper = parse_map(['event_type=.["type of it"]', f"data={format_path(('inner', *path))}"])
    event = mapper.event(typed.encode(), arrived=ARRIVED)
    assert event is not None
    assert event.data == text.encode()


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_an_event_or_a_bad_event(frame: bytes) -> None:
    for mapper in (parse_map(), parse_map(["event_type=.a|.b.c", "data=."])):
        with contextlib.suppress(BadEvent):
            mapper.event(frame, arrived=ARRIVED)


@given(values)
def test_any_json_is_an_event_or_a_bad_event(value: Any) -> None:
    for mapper in (parse_map(), parse_map(["event_type=.a|.", "data=."])):
        with contextlib.suppress(BadEvent):
            mapper.event(json.dumps(value).encode(), arrived=ARRIVED)


@given(st.lists(st.binary(max_size=12), max_size=12), st.lists(st.integers(1, 9), max_size=20), st.booleans())
def test_lines_are_the_same_however_the_chunks_fall(pieces: list[bytes], cuts: list[int], ends: bool) -> None:
    text = b"\n".join(pieces) + (b"\n" if ends else b"")
    lines = Lines()
    found = []
    at = 0
    for cut in [*cuts, len(text) + 1]:
        found += list(lines.feed(text[at : at + cut]))
        at += cut
    last = lines.end()
    found += [last] if last else []
    expected = text.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    assert [line.text for line in found] == expected
    assert all(text[line.offset : line.end].rstrip(b"\n") == line.text.rstrip(b"\n") for line in found)
    assert (found[-1].end if found else 0) == len(text)


@given(st.integers(0, 30), st.integers(1, 10), st.integers(1, 7))
def test_a_line_above_the_bound_keeps_its_beginning_and_its_size(size: int, bound: int, step: int) -> None:
    text = b"x" * size + b"\nnext\n"
    lines = Lines(max_line_bytes=bound)
    found = [line for at in range(0, len(text), step) for line in lines.feed(text[at : at + step])]
    assert [line.size for line in found] == [size, 4]
    assert found[0].text == b"x" * min(size, bound)
    assert found[0].cut == (size > bound)
    assert found[1].offset == size + 1
