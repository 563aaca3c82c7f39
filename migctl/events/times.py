"""Times as text: RFC 3339 out, RFC 3339 and its everyday relatives in. Always UTC, always microseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated

from msgspec import Meta

# In a document: aware, RFC 3339.
Moment = Annotated[datetime, Meta(tz=True)]

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,30}))?\s*(Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def format_time(moment: datetime) -> str:
    """`2026-01-31T12:00:00.000000Z`: always six digits, always Z. `moment` is aware UTC."""
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


def parse_time(text: str) -> datetime:
    """Read RFC 3339 or `YYYY-MM-DD HH:MM:SS[.f]` with `Z`, `UTC`, `GMT`, an offset or nothing (UTC).

    Digits below the microsecond are cut off. Raises ValueError that says what was expected.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a time such as 2026-01-31T12:00:00.25Z, got {text[:80]!r}")
    day, clock, fraction, zone = match.groups()
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}").replace(microsecond=micros, tzinfo=_zone(zone))
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"no such time: {text[:80]!r} ({error})") from None


def _zone(text: str | None) -> timezone:
    if text is None or text in ("Z", "z", "UTC", "GMT"):
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
