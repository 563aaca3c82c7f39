"""What is written of a frame of the old socket."""

from __future__ import annotations

import json

import pytest

from migctl.ingest import parse_map
from migctl.ingest.frames import contents
from migctl.validate.legacy_capture import line_of

AT = "2026-01-31T12:00:00Z"


@pytest.mark.parametrize(
    ("frame", "rest"),
    [
        (
            b'{"type":"cpu","data":{"n":\n1.50},"timestamp":"2026-01-31T12:00:00Z"}',
            b'"events":[{"event_type":"cpu","data":{"n": 1.50}}]}',
        ),
        (b'h\xffllo "you"', b'"events":[],"text":"h\\\\xffllo \\"you\\""}'),
    ],
)
def test_a_line_has_the_events_of_a_frame_or_its_text(frame: bytes, rest: bytes) -> None:
    line = line_of(frame, AT, contents(parse_map(), "envelope"))
    assert line == b'{"received_at":"%b",' % AT.encode() + rest
    json.loads(line)


def test_data_alone_has_no_type() -> None:
    line = line_of(b'{"n":1}', AT, contents(parse_map(), "data"))
    assert line.endswith(b'"events":[{"event_type":null,"data":{"n":1}}]}')
