"""Capture lines."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from migctl.events import decode_event
from migctl.subscriber.core.release import encode_release
from tests.kit.documents import objects, plain
from tests.kit.releases import WHEN, release


def test_line_has_the_keys_that_a_report_reads() -> None:
    line = json.loads(encode_release(release(3, source_id="own-7", clock="arrival", via="fetch")))
    assert line == {
        "id": "a-3",
        "epoch": "a",
        "seq": 3,
        "event_type": "cpu",
        "timestamp": "2026-01-31T12:00:00.000000Z",
        "source": "host-1",
        "data": {"used": 1},
        "committed_at": "2026-01-31T12:00:00.100000Z",
        "clock": "arrival",
        "source_id": "own-7",
        "transport": "realtime",
        "via": "fetch",
        "received_at": "2026-01-31T12:00:00.250000Z",
        "received_mono_ns": 7,
    }


@given(objects, st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20))
def test_any_event_is_one_line_that_reads_back_with_the_text_of_its_data(
    document: object, source: str
) -> None:
    data = plain(document).encode()
    line = encode_release(release(1, id="0190a000-0000-7000-8000-000000000001", data=data, source=source))
    assert b"\n" not in line
    event = decode_event(line, arrived=WHEN, default_source="")
    assert (event.data, event.source) == (data, source)


def test_line_breaks_between_the_tokens_of_data_do_not_break_the_line() -> None:
    line = encode_release(release(1, data=b'{\r\n "a": 1\n}'))
    assert b"\n" not in line
    assert json.loads(line)["data"] == {"a": 1}
