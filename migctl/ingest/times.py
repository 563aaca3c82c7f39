"""The times of a foreign stream: what RFC 3339 can't say is named in YAML, and nothing is guessed.

A text is read as `migctl.events.parse_time` reads it; then with the zones table (`AEDT: '+11:00'`); then by the named formats, in
their order. A number is a wall time only where `unix_seconds` or `unix_millis` is named, and only in the range of that unit:
streams mix wall clocks with monotonic ones, and 81234.56 is no day in 1970.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation

from migctl.config.settings import SourceSection
from migctl.errors import Usage
from migctl.events import BadEvent, parse_time
from migctl.events.times import from_micros

# From 1973 to 5138 in seconds, and the same span in milliseconds: the ranges touch, so a number is read in one unit only.
_SECONDS = (Decimal(10**8), Decimal(10**11))
_MILLIS = (Decimal(10**11), Decimal(10**14))

_NUMBER = re.compile(r"-?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,2})?", re.ASCII)
_ABBREVIATION = re.compile(r"(.*\S)\s+\(?([A-Za-z]{1,6})\)?", re.DOTALL)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)", re.ASCII)
_HAS_YEAR = re.compile(r"%(?:Y|y|c|x|G)")
_SAMPLE = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Format:
    """A strptime format. by_table: it ended in %Z, so the zone's name comes last and is looked up in the table."""

    text: str
    by_table: bool


@dataclass(frozen=True, slots=True)
class Times:
    """How this stream writes its times. `Times()` knows what needs no YAML."""

    seconds: bool = False
    millis: bool = False
    formats: tuple[_Format, ...] = ()
    zones: Mapping[str, timezone] | None = None

    def of_number(self, text: str) -> datetime | None:
        """The moment that a JSON number says; None where it is no wall time, or YAML does not say that it is one."""
        if not (self.seconds or self.millis):
            return None
        try:
            value = Decimal(text)
        except InvalidOperation:
            return None
        if self.seconds and _SECONDS[0] <= value < _SECONDS[1]:
            return from_micros(int(value * 1_000_000))
        if self.millis and _MILLIS[0] <= value < _MILLIS[1]:
            return from_micros(int(value * 1000))
        return None

    def of_text(self, text: str) -> datetime:
        """The moment that a text says. Raises BadEvent("timestamp", ...) with the way out."""
        try:
            return parse_time(text)
        except ValueError as error:
            first = error
        text = text.strip()
        moment = self._by_zone(text) or self._by_format(text)
        if moment is not None:
            return moment
        if _NUMBER.fullmatch(text):
            moment = self.of_number(text)
            if moment is not None:
                return moment
        raise BadEvent("timestamp", "time", self._advice(text, first))

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
            zone: timezone = UTC
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
        return f"{error}; name its format in migctl.yaml: source.time_formats: [unix_seconds, unix_millis or a strptime format]"


_BUILT_IN: dict[str, timezone] = {"Z": UTC, "UTC": UTC, "GMT": UTC}


def read_times(settings: SourceSection) -> Times:
    """What `source.time_formats` and `source.zones` say. Raises Usage that names the key."""
    return compile_times(settings.time_formats, settings.zones)


def compile_times(formats: Sequence[str], zones: Mapping[str, str]) -> Times:
    """Raises Usage for a format that can't be read back or has no year, and for an offset that is none."""
    named = [_format(text) for text in formats if text not in ("unix_seconds", "unix_millis")]
    return Times(
        seconds="unix_seconds" in formats,
        millis="unix_millis" in formats,
        formats=tuple(named),
        zones={name: _offset(name, text) for name, text in zones.items()},
    )


def _format(text: str) -> _Format:
    where = f"source.time_formats: {text!r}"
    if "%" not in text:
        raise Usage(
            f"{where} is no format",
            do="write unix_seconds, unix_millis, or a strptime format such as '%d/%b/%Y %H:%M:%S'",
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


def _offset(name: str, text: str) -> timezone:
    match = _OFFSET.fullmatch(text)
    if match is None or int(match[2]) > 23 or int(match[3]) > 59:
        raise Usage(
            f"source.zones.{name}: expected an offset such as '+11:00', got {text!r}",
            do="write it in quotes: YAML reads +11:00 without them as a number of minutes",
        )
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(-offset if match[1] == "-" else offset)
