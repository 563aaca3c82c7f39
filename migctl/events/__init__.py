"""Events: ids, times, codec, equality. Pure: no input, no output, no clock of its own."""

from migctl.events.codec import BadEvent, decode_event, encode_entry, encode_event, make_event
from migctl.events.model import Entry, Event, Position
from migctl.events.times import format_time, parse_time

__all__ = [
    "BadEvent",
    "Entry",
    "Event",
    "Position",
    "decode_event",
    "encode_entry",
    "encode_event",
    "format_time",
    "make_event",
    "parse_time",
]
