"""Lines of a stream, however it is cut into chunks."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from migctl.ingest.lines import Line, Lines

MAX = 8
streams = st.lists(st.binary(max_size=12).filter(lambda text: b"\n" not in text), max_size=12).map(b"\n".join)


def lines_of(chunks: list[bytes], offset: int = 0) -> list[Line]:
    lines = Lines(offset=offset, max_line_bytes=MAX)
    found = [line for chunk in chunks for line in lines.feed(chunk)]
    last = lines.end()
    return found + ([last] if last is not None else [])


@given(streams, st.lists(st.integers(0, 150), max_size=10), st.integers(0, 1000))
def test_lines_are_the_same_however_the_stream_is_cut_and_make_it_again(
    stream: bytes, cuts: list[int], offset: int
) -> None:
    places = sorted({0, len(stream), *[cut for cut in cuts if cut < len(stream)]})
    chunks = [stream[start:end] for start, end in pairwise(places)]
    found = lines_of(chunks, offset)
    assert found == lines_of([stream], offset)
    whole = stream.split(b"\n")
    expected = whole if whole[-1] else whole[:-1]
    assert [line.size for line in found] == [len(text) for text in expected]
    for line, text in zip(found, expected, strict=True):
        assert line.text == text[:MAX]
        assert line.cut == (len(text) > MAX)
        assert stream[line.offset - offset : line.end - offset].rstrip(b"\n") == text
    assert [line.end for line in found[:-1]] == [line.offset for line in found[1:]], (
        "no byte is between two lines"
    )
