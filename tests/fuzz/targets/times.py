"""Times as producers and servers write them: whatever is read by one of our readers is read by the others as the same moment."""

from __future__ import annotations

from migctl.events.times import format_time, from_micros, micros_of, parse_time, stored_text, stored_time
from migctl.transports.realtime.canary import moment_of
from tests.fuzz.target import Target
from tests.fuzz.targets.events import refused

GOOD = (
    "2026-01-31T12:00:00Z", "2026-01-31 12:00:00.25", "2026-01-31T12:00:00.123456789+05:45", "2026-01-31T12:00:00.25+00:00",
    "1890-01-01T00:00:00+05:41:16", "0001-12-31T19:33:58-04:56:02 BC", "10000-01-01T05:44:59+05:45", "infinity", "-infinity",
    "294276-12-31T23:59:59.999999+00:00", "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00",
)  # fmt: skip


def a_time(data: bytes) -> bool:
    text = data.decode("utf-8", "surrogatepass")
    moment = _of_a_producer(text)
    taken = moment is not None
    try:
        stored, spelled = stored_time(text), stored_text(text)
    except ValueError as error:
        refused(str(error).encode("utf-8", "backslashreplace").decode())
    else:
        assert (spelled is None) == (stored is None)
        if stored is not None and spelled is not None:
            assert parse_time(spelled) == stored
            assert format_time(stored) == spelled
            assert stored_text(spelled) == spelled
            assert moment is None or moment == stored
        taken = True
    touched = moment_of({"record": {"updated_at": text}})
    assert touched is None or touched.tzinfo is not None
    return taken


def _of_a_producer(text: str) -> object:
    try:
        moment = parse_time(text)
    except ValueError as error:
        refused(str(error).encode("utf-8", "backslashreplace").decode())
        return None
    assert parse_time(format_time(moment)) == moment
    assert from_micros(micros_of(moment)) == moment
    return moment


TARGETS = (
    Target(
        "times",
        a_time,
        tuple(text.encode() for text in GOOD),
        refusals=(UnicodeDecodeError,),
        words=(
            b" BC",
            b"infinity",
            b"+05:41:16",
            b"-15:59:59",
            b"10000",
            b"0000",
            b"24:00:00",
            b":60",
            b"-00:00",
            b".",
            b"T",
            b"Z",
        ),
    ),
)
