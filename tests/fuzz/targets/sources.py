"""What sources bring: frames of an old service, lines of a file, times in words of their own, and how an operator maps them."""

from __future__ import annotations

import json

from migctl.config.problems import Faulty
from migctl.config.settings import SourceSection
from migctl.config.validating import validate
from migctl.errors import Usage
from migctl.events import BadEvent
from migctl.ingest.frames import events_of
from migctl.ingest.lines import Lines
from migctl.ingest.mapping import Mapper, parse_map
from migctl.ingest.paths import BadPath, format_path, parse_paths
from migctl.ingest.times import compile_times
from tests.fuzz.mutating import mutated_json
from tests.fuzz.target import Target
from tests.fuzz.targets.events import GOOD, KEYS, NOW, TIMES, refused, whole_way

OLD = tuple(
    json.dumps(one).encode()
    for one in (
        {"type": "cpu", "data": {"used": 1}, "timestamp": "2026-01-31T12:00:00Z"},
        {"type": "cpu", "broadcast_time": "2026-01-31 12:00:00", "used": 1},
        {"type": 7, "timestamp": 1769860800.25, "data": {"a": {"b": [1]}}},
        [{"type": "a", "data": {}}, {"type": "b", "data": {"x": 1}}],
        {"kind": {"name": "mem"}, "at": 1769860800250, "payload": {"n": 1}, "who": "host", "no": 7},
    )
)
MAPPED = parse_map(
    [
        "event_type=.kind.name|.type",
        "timestamp=.at|.timestamp",
        "data=.payload|.",
        'id=.no|.["an id"]',
        "source=.who|.a.b.c",
    ],
    SourceSection(
        time_formats=["unix_seconds", "unix_millis", "%d/%b/%Y %H:%M:%S %Z", "%Y-%m-%dT%H:%M:%S.%f%z"],
        zones={"AEDT": "+11:00"},
    ),
    ignore=["hb,ping"],
)
DEFAULT = Mapper()


def a_frame(data: bytes) -> bool:
    """A frame of an old service, as a tap hears it: with no mapping, and with one of everything."""
    taken = False
    try:
        texts = events_of(data)
    except BadEvent as error:
        return refused(error.reason)
    for text in texts[:20]:
        for mapper in (DEFAULT, MAPPED):
            try:
                event = mapper.event(text, arrived=NOW, make_id=lambda: "made")
            except BadEvent as error:
                refused(f"{error.field} {error.code} {error.reason}")
                continue
            taken = True
            if event is not None:
                whole_way(event)
    return taken


def lines(data: bytes) -> bool:
    """Cut anywhere, lines are the same as of the whole; of one that is too long the beginning."""
    step = 1 + data[0] % 17 if data else 1
    cutter = Lines(offset=5, max_line_bytes=40)
    found = [line for at in range(0, len(data), step) for line in cutter.feed(data[at : at + step])]
    last = cutter.end()
    found += [] if last is None else [last]
    wanted = data.split(b"\n")
    wanted = wanted if wanted[-1] else wanted[:-1]
    assert [line.text for line in found] == [text[:40] for text in wanted]
    assert [line.size for line in found] == [len(text) for text in wanted]
    assert [data[line.offset - 5 : line.offset - 5 + line.size] for line in found] == wanted
    return True


def paths(data: bytes) -> bool:
    text = data.decode("utf-8", "surrogateescape")
    try:
        found = parse_paths(text)
    except BadPath as error:
        shown = str(error)
        assert shown
        return False
    for path in found:
        assert parse_paths(format_path(path)) == (path,)
    return True


def a_mapping(data: bytes) -> bool:
    """data: lines; those with `=` are options, the rest types to ignore."""
    text = data.decode("utf-8", "surrogateescape").split("\n")
    try:
        mapper = parse_map(
            [one for one in text if "=" in one], ignore=[one for one in text if "=" not in one]
        )
    except Usage as error:
        assert error.do
        return False
    for frame in (*GOOD[:2], *OLD):
        try:
            mapper.event(frame, arrived=NOW)
        except BadEvent as error:
            refused(error.reason)
    return True


def formats(data: bytes) -> bool:
    """data: a time, and a format of times on a line of its own."""
    time, _, text = data.decode("utf-8", "surrogateescape").partition("\n")
    try:
        validate(SourceSection, {"time_formats": [text]})
        known = compile_times(
            [text, "unix_seconds", "unix_millis"],
            {"AEDT": "+11:00", "X": text if text[:1] in "+-" and text else "+00:00"},
        )
    except (Usage, Faulty) as error:
        assert error.do
        return False
    try:
        moment = known.of_text(time)
    except BadEvent as error:
        return refused(error.reason)
    assert moment.utcoffset() is not None
    return True


FORMATS = (
    b"31/Jan/2026:12:00:00 +0100\n%d/%b/%Y:%H:%M:%S %z", b"2026-01-31 12:00:00 AEDT\n%Y-%m-%d %H:%M:%S %Z", b"1769860800.25\n%Y",
    b"Sat Jan 31 12:00:00 2026\n%a %b %d %H:%M:%S %Y", b"2026-031\n%Y-%j", b"26-01-31\n%y-%m-%d", b"2026 W05 6\n%G W%V %u",
)  # fmt: skip
DIRECTIVES = tuple(b"%" + bytes([one]) for one in b"aAwdbBmyYHIpMSfzZjUWcxXGuV%sn: ") + TIMES
TARGETS = (
    Target(
        "old service's frame",
        a_frame,
        (*OLD, *GOOD),
        words=(*KEYS, b"type", b"broadcast_time", b"kind", b"at", b"payload", b"no"),
        mutate=mutated_json,
    ),
    Target(
        "lines",
        lines,
        (b"a\nbb\r\n\n" + b"x" * 100 + b"\nlast", b"one"),
        words=(b"\n", b"\r\n", b"\xe2\x80\xa8", b"\x85"),
        most_bytes=4096,
    ),
    Target(
        "paths",
        paths,
        (b".", b".a.b", b'.a["b c"].d|.e', b'.["x"]|.'),
        words=(b".", b"|", b'["', b'"]', b"\\u0000", b"[", b" "),
        most_bytes=4096,
    ),
    Target(
        "mapping",
        a_mapping,
        (b"event_type=.type\nhb,ping", b"data=.a|.b\nid=.x", b"timestamp=.t"),
        words=(*KEYS, b"=", b"\n", b"|."),
        most_bytes=4096,
    ),
    Target("time formats", formats, FORMATS, words=DIRECTIVES, most_bytes=2048),
)
