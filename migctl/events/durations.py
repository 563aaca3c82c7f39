"""Durations, as people read and write them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|s|m|h|d|w)\s*", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_MOST_S = 1e10


def seconds_of(text: str) -> float:
    """`90`, `500ms`, `15m`, `1h30m`, `7d`: in seconds, which a bare number is already. Raises ValueError."""
    left = text.strip().lower()
    if _NUMBER.fullmatch(left):
        seconds = float(left)
    else:
        parts = _PART.findall(left)
        if not parts or _PART.sub("", left):
            raise ValueError(f"expected a time such as 30s, 15m, 2h or 1h30m, got {text!r}")
        seconds = sum(float(count) * _UNITS_S[unit] for count, unit in parts)
    if seconds >= _MOST_S:
        raise ValueError(f"{text!r} is longer than anything lasts")
    return seconds


def moment_of(text: str, now: datetime) -> datetime:
    """So long ago (`15m`), or a day, or a time as RFC 3339 has it; UTC where it names no zone. Raises ValueError."""
    text = text.strip()
    try:
        if len(text) == len("2026-01-31"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        found = datetime.fromisoformat(text)
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    except ValueError:
        pass
    try:
        return now - timedelta(seconds=seconds_of(text))
    except ValueError:
        raise ValueError(f"expected 15m, 2h, 2026-01-31 or 2026-01-31T12:00:00Z, got {text!r}") from None


def lasting(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h`, `3 h 20 min`, `2 d 4 h`: whole units, never more than it is; less than nothing is 0 s."""
    whole = max(0, int(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    if whole < 172_800:
        return _two(whole // 60, 60, "h", "min")
    return _two(whole // 3600, 24, "d", "h")


def _two(count: int, of_each: int, large: str, small: str) -> str:
    rest = count % of_each
    return f"{count // of_each} {large}" + (f" {rest} {small}" if rest else "")
