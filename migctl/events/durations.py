"""Durations, as people read them."""

from __future__ import annotations


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
