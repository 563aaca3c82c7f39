"""Times as text: RFC 3339 out, RFC 3339 and its everyday relatives in, and Unix time. Always UTC, always microseconds."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Annotated

from msgspec import Meta

# In a document: aware, RFC 3339.
Moment = Annotated[datetime, Meta(tz=True)]

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,30}))?\s*(Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
# As PostgreSQL writes them in JSON, whatever the session's DateStyle: in its TimeZone, whose offset had seconds once, and in years
# that Python does not count.
_STORED = re.compile(
    r"(\d{4,6})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:Z|([+-])(\d\d):?(\d\d)?:?(\d\d)?)( BC)?",
    re.ASCII,
)
_INFINITE = ("infinity", "-infinity")
# Days repeat after so many years.
_CYCLE_YEARS, _CYCLE = 400, timedelta(days=146_097)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND, _NOTHING = timedelta(seconds=1), timedelta()

NUMBER = re.compile(r"-?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,2})?", re.ASCII)
# Seconds from and to which a number is a wall time: where its unit is named, and where it is not.
_NAMED = 10**8, 10**11
_UNNAMED = 631_152_000, 4_102_444_800
_UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}


def format_time(moment: datetime) -> str:
    """`2026-01-31T12:00:00.000000Z`: always six digits, always Z. `moment` is aware UTC."""
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


def parse_time(text: str, zone: tzinfo = UTC) -> datetime:
    """Read RFC 3339 or `YYYY-MM-DD HH:MM:SS[.f]` with `Z`, `UTC`, `GMT`, an offset or nothing: then it is in `zone`.

    A leap second (`:60`) is the first moment after it. Digits below the microsecond are cut off. Raises ValueError that says what
    was expected.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a time such as 2026-01-31T12:00:00.25Z, got {text[:80]!r}")
    day, clock, fraction, written = match.groups()
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    leap = clock.endswith(":60")
    try:
        moment = datetime.fromisoformat(f"{day}T{clock[:-2]}59" if leap else f"{day}T{clock}")
        moment = moment.replace(microsecond=micros, tzinfo=zone if written is None else _zone(written))
        return moment.astimezone(UTC) + (_SECOND if leap else _NOTHING)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"no such time: {text[:80]!r} ({error})") from None


def unix_time(text: str, named: Collection[str] = ()) -> tuple[datetime, str] | None:
    """The moment that a number says since 1970, and its unit: the one of four in which it lies between 1990 and 2100.

    named: units that somebody says it has; in them it may lie between 1973 and 5138. In neither case it is in two units at once.
    None where it is no wall time: a monotonic clock's, or a date written without its marks (20260131120000).
    """
    if not NUMBER.fullmatch(text):
        return None
    value = Decimal(text)
    for units, least, most in ((named, *_NAMED), (_UNITS, *_UNNAMED)):
        for unit in units:
            if least <= value / _UNITS[unit] < most:
                return from_micros(int(value * 1_000_000 / _UNITS[unit])), unit
    return None


def read_time(text: str, zone: tzinfo = UTC) -> datetime:
    """What a producer says of when: `parse_time`, and the text of a number as `unix_time`. Raises ValueError."""
    if not NUMBER.fullmatch(text):
        return parse_time(text, zone)
    found = unix_time(text)
    if found is None:
        raise ValueError(f"{text} is no wall time in Unix seconds, milliseconds, microseconds or nanoseconds")
    return found[0]


def stored_time(text: str) -> datetime | None:
    """The moment that PostgreSQL writes like this in JSON, in UTC; None where Python counts no such years (infinity, BC, 10000 on).

    Raises ValueError for what PostgreSQL does not write.
    """
    if text in _INFINITE:
        return None
    match = _STORED.fullmatch(text)
    if match is None:
        raise ValueError(f"no time of PostgreSQL's: {text[:80]!r}")
    years, month, day, hour, minute, second, fraction, sign, hours, minutes, seconds, bc = match.groups()
    year = 1 - int(years) if bc else int(years)
    cycles = (year - 2000) // _CYCLE_YEARS
    within = datetime(
        year - cycles * _CYCLE_YEARS, int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC
    )
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0), seconds=int(seconds or 0))
    since = within - _EPOCH + cycles * _CYCLE + timedelta(microseconds=int((fraction or "0").ljust(6, "0")))
    try:
        return _EPOCH + (since + offset if sign == "-" else since - offset)
    except OverflowError:
        return None


def stored_text(text: str) -> str | None:
    """The same moment in the spelling of `format_time`; None and ValueError as in `stored_time`."""
    # Nearly all are like this, and readers come by millions of them.
    if (
        text[10:11] == "T"
        and text[4:5] == "-"
        and text[19:20] in ("+", ".")
        and text[-6:] == "+00:00"
        and len(text) <= 32
    ):
        datetime.fromisoformat(text)  # or there is no such day
        return f"{text[:-6]}Z" if len(text) == 32 else f"{text[:19]}.{text[20:-6]:0<6}Z"
    moment = stored_time(text)
    return None if moment is None else format_time(moment)


def _zone(text: str) -> timezone:
    if text in ("Z", "z", "UTC", "GMT"):
        return UTC
    digits = text[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or "0")
    if hours > 23 or minutes > 59:
        raise ValueError(f"offset {text} is out of range")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970, exact."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The moment that is this many microseconds after 1970, aware UTC."""
    return _EPOCH + timedelta(microseconds=micros)
