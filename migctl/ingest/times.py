"""The times of a foreign stream: RFC 3339 and Unix time are read by themselves, all else is named in YAML, and nothing is guessed.

A text is read as `migctl.events.times` reads it, one without a zone in `source.zone`; then with the zones table (`AEDT: '+11:00'`);
then by the named formats, in their order. A number is Unix time in the one unit in which it is a wall time; streams mix wall clocks
with monotonic ones, and 81234.56 is no day in 1970.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo

from migctl.config.settings import SourceSection
from migctl.errors import Usage
from migctl.events import BadEvent, parse_time
from migctl.events.jsontext import loads, type_word_of
from migctl.events.times import NUMBER, unix_time

# A text that names its zone, in whatever way.
_HAS_ZONE = re.compile(r"(?:[Zz]|[A-Za-z]{2,6}\)?|[+-]\d\d(?::?\d\d)?)$", re.ASCII)
NO_WALL_TIME = "clock"

_ABBREVIATION = re.compile(r"(.*\S)\s+\(?([A-Za-z]{1,6})\)?", re.DOTALL)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)", re.ASCII)
_HAS_YEAR = re.compile(r"%(?:Y|y|c|x|G)")
_SAMPLE = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Format:
    """A strptime format. by_table: it ended in %Z, so the zone's name comes last and is looked up in the table."""

    text: str
    by_table: bool


Unread = Literal["reject", "arrival"]


@dataclass(frozen=True, slots=True)
class Times:
    """How this stream writes its times. `Times()` knows what needs no YAML.

    units: of Unix time, that YAML names. zone: of a text that names none.
    unread: what becomes of an event whose time can't be read. None: one with a text is rejected, one with a number that is no wall
    time has that of its arrival.
    """

    formats: tuple[_Format, ...] = ()
    units: tuple[str, ...] = ()
    zones: Mapping[str, timezone] | None = None
    zone: tzinfo = UTC
    unread: Unread | None = None

    def of_number(self, text: str) -> datetime | None:
        """The moment that a JSON number says; None where it is no wall time."""
        found = unix_time(text, self.units)
        return None if found is None else found[0]

    def of_text(self, text: str) -> datetime:
        """The moment that a text says. Raises BadEvent("timestamp", ...) with the way out."""
        if NUMBER.fullmatch(text):
            # A format may be one of digits alone.
            return self._by_format(text) or self._number(text)[0]
        try:
            return parse_time(text, self.zone)
        except ValueError as error:
            first = error
        text = text.strip()
        moment = self._by_zone(text) or self._by_format(text)
        if moment is None:
            raise BadEvent("timestamp", "time", self._advice(text, first))
        return moment

    def read(self, raw: bytes) -> tuple[datetime, str]:
        """The moment that a JSON value says, and how it was read, in words. Raises BadEvent("timestamp", ...)."""
        if raw[:1] == b'"':
            text = _text(raw)
            if NUMBER.fullmatch(text) and self._by_format(text) is None:
                return self._number(text)
            return self.of_text(text), "text" if _HAS_ZONE.search(
                text
            ) else f"text without a zone, in {self.zone}"
        if raw[0] not in b"-0123456789":
            raise BadEvent("timestamp", "type", f"expected a time, got {type_word_of(raw)}")
        return self._number(raw.decode("ascii"))

    def _number(self, text: str) -> tuple[datetime, str]:
        found = unix_time(text, self.units)
        if found is None:
            raise BadEvent(
                "timestamp",
                NO_WALL_TIME,
                f"{text[:80]} is no wall time: in no unit of Unix time it lies between 1990 and 2100",
            )
        moment, unit = found
        return moment, f"Unix {unit}"

    def rejects(self, error: BadEvent) -> bool:
        """Whether an event whose time could not be read for this reason is rejected, rather than gets that of its arrival."""
        return (
            error.code == "type"
            or self.unread == "reject"
            or (self.unread is None and error.code != NO_WALL_TIME)
        )

    def of_posted(self, text: str) -> datetime | None:
        """The moment that a text or a number says; None: it can't be read, and the settings take that of the arrival.

        Raises BadEvent("timestamp", ...).
        """
        try:
            return self.of_text(text)
        except BadEvent:
            if self.unread == "arrival":
                return None
            raise

    def _by_zone(self, text: str) -> datetime | None:
        found = self._zone_of(text)
        if found is None:
            return None
        rest, zone = found
        try:
            return parse_time(rest).replace(tzinfo=zone).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def _by_format(self, text: str) -> datetime | None:
        for known in self.formats:
            zone: tzinfo = self.zone
            rest = text
            if known.by_table:
                found = self._zone_of(text)
                if found is None:
                    continue
                rest, zone = found
            try:
                moment = datetime.strptime(rest, known.text)  # noqa: DTZ007 - the zone is put in below
                return moment.replace(tzinfo=moment.tzinfo or zone).astimezone(UTC)
            except (ValueError, OverflowError):
                continue
        return None

    def _zone_of(self, text: str) -> tuple[str, timezone] | None:
        match = _ABBREVIATION.fullmatch(text)
        if match is None:
            return None
        zone = (self.zones or {}).get(match[2]) or _BUILT_IN.get(match[2])
        return None if zone is None else (match[1], zone)

    def _advice(self, text: str, error: ValueError) -> str:
        match = _ABBREVIATION.fullmatch(text)
        if match is not None and match[2] not in _BUILT_IN and match[2] not in (self.zones or {}):
            try:
                parse_time(match[1])
            except ValueError:
                pass
            else:
                return f"the zone {match[2]!r} is not known; name it in migctl.yaml: source.zones: {{{match[2]}: '+HH:MM'}}"
        return f"{error}; name its format in migctl.yaml: source.time_formats: [a strptime format]"


_UNITS = {"unix_seconds": "seconds", "unix_millis": "milliseconds"}
_BUILT_IN: dict[str, timezone] = {"Z": UTC, "UTC": UTC, "GMT": UTC}


def _text(raw: bytes) -> str:
    try:
        value = loads(raw)
    except ValueError as error:
        raise BadEvent("timestamp", "json", str(error)) from None
    assert isinstance(value, str)
    return value


def read_times(settings: SourceSection) -> Times:
    """What `source.time_formats` and `source.zones` say. Raises Usage that names the key."""
    return compile_times(
        settings.time_formats, settings.zones, zone=settings.zone, unread=settings.unread_times
    )


def compile_times(
    formats: Sequence[str], zones: Mapping[str, str], *, zone: str = "UTC", unread: Unread | None = None
) -> Times:
    """Raises Usage for a format that can't be read back or has no year, for an offset that is none, and for a zone that is unknown.

    unix_seconds and unix_millis are for numbers that lie before 1990 or after 2100; others are read by themselves.
    """
    named = [_format(text) for text in formats if text not in _UNITS]
    return Times(
        formats=tuple(named),
        units=tuple(unit for name, unit in _UNITS.items() if name in formats),
        zones={name: _offset(name, text) for name, text in zones.items()},
        zone=zone_of(zone),
        unread=unread,
    )


def zone_of(text: str, where: str = "source.zone") -> tzinfo:
    """The zone that an offset or a name of the time zone database says. Raises Usage that names the setting."""
    if text in _BUILT_IN:
        return UTC
    if _OFFSET.fullmatch(text):
        return _offset("", text, where)
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, KeyError):  # a name that is none may be a path to anything
        raise Usage(
            f"{where}: {text!r} is no zone that this machine knows",
            do="write an offset in quotes, such as '+11:00', or a name such as Australia/Melbourne",
        ) from None


def _format(text: str) -> _Format:
    where = f"source.time_formats: {text!r}"
    if "%" not in text:
        raise Usage(
            f"{where} is no format",
            do="write a strptime format such as '%d/%b/%Y %H:%M:%S'",
        )
    if not _HAS_YEAR.search(text):
        raise Usage(f"{where} has no year, so it names no moment", do="use a format that has %Y")
    bare = text.strip()
    by_table = bare.endswith("%Z")
    if by_table:
        bare = bare[:-2].rstrip()
    try:
        if "%Z" in bare:
            raise ValueError("a zone by name in the middle")
        datetime.strptime(_SAMPLE.strftime(bare), bare)  # noqa: DTZ007 - only tried
    except (ValueError, re.error) as error:  # such as one that says the year twice
        raise Usage(
            f"{where} can't be read: {error}",
            do="see https://docs.python.org/3/library/datetime.html#format-codes; %Z may only stand at the end",
        ) from None
    return _Format(bare, by_table)


def _offset(name: str, text: str, where: str = "source.zones") -> timezone:
    match = _OFFSET.fullmatch(text)
    if match is None or int(match[2]) > 23 or int(match[3]) > 59:
        raise Usage(
            f"{where}{'.' if name else ''}{name}: expected an offset such as '+11:00', got {text!r}",
            do="write it in quotes: YAML reads +11:00 without them as a number of minutes",
        )
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(-offset if match[1] == "-" else offset)
