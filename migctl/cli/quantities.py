"""Times on the command line: `30s`, `15m`, `1h30m`; a bare number is seconds."""

from __future__ import annotations

from collections.abc import Callable


def seconds(at_least: float = 0.0) -> Callable[[str | float], float]:
    """A parser for an option's value, in seconds."""

    def parse(value: str | float) -> float:
        from migctl.events.durations import seconds_of

        found = float(value) if isinstance(value, int | float) else seconds_of(value)
        if found < at_least:
            raise ValueError(f"{value} is less than {at_least:g} s")
        return found

    return parse
