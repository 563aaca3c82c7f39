"""Silence: how long one subscriber waited for events that were committed. Pure.

It is unavailable while some committed event older than 2 s is not yet released to it. Releases come in seq order, so these times
begin one after the other, and what was counted to the last of them is one number.

| | counted, where it was not yet |
|---|---|
| released within 2 s | nothing |
| released later | from 2 s after its commit to its release |
| a window closes without it, and nothing later was released | from then to the window's end; it goes on being owed |
| a later one is released | it is missing, and owed no more |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

AFTER_US = 2_000_000


class Silence:
    """Of one transport. count: told the begin and the end of each time, in microseconds, that was not told before."""

    def __init__(self, count: Callable[[int, int], None]) -> None:
        self._count = count
        self._counted_to = 0
        self._heard_us = 0
        self._newest_us = 0
        self._owed: tuple[int, int] | None = None  # commits: of the first that is owed, and of the last

    def released(self, committed_us: int, received_us: int) -> None:
        """What is handed out in seq order is not there before what stands in front of it."""
        self._heard_us = max(self._heard_us, received_us)
        self._newest_us = max(self._newest_us, committed_us)
        since_us = committed_us
        if self._owed is not None:
            since_us = min(since_us, self._owed[0])
            if committed_us >= self._owed[1]:
                self._owed = None
        self._unavailable(since_us + AFTER_US, self._heard_us)

    def window_ends(self, end_us: int, missing_us: Iterable[int]) -> None:
        """missing_us: commits of those in it that were not released."""
        owed = [one for one in missing_us if one > self._newest_us]
        if owed:
            first, last = (min(owed), max(owed))
            self._owed = (first, last) if self._owed is None else (min(first, self._owed[0]), last)
        if self._owed is not None:
            self._unavailable(self._owed[0] + AFTER_US, end_us)

    def _unavailable(self, begin_us: int, end_us: int) -> None:
        begin_us = max(begin_us, self._counted_to)
        if end_us > begin_us:
            self._count(begin_us, end_us)
            self._counted_to = end_us
