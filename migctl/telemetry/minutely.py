"""Minutely: one log line a minute of what was carried, in place of one for each batch. Pure: given the time.

So the size of a log follows the time and not the events, and where nothing is carried nothing is logged.
"""

from __future__ import annotations

from collections import Counter

EVERY_S = 60.0

# Durations that are held; of more batches than this every second one counts for the middle, then every fourth.
_MOST_DURATIONS = 4096


class Minutely:
    """Add what was carried and log what comes back. Times are monotonic seconds.

    | held                        | `carried` answers, and holds          | `due` answers, and holds | `rest` |
    |-----------------------------|---------------------------------------|--------------------------|--------|
    | nothing                     | None; this batch, which begins a minute | None; nothing          | None   |
    | batches of a minute that runs | None; this one too                  | None; as before          | a line; nothing |
    | batches of one that is over | its line; this batch, which begins a minute | its line; nothing  | a line; nothing |

    A line is the fields of it: the counts, `batches`, `ms_p50` and `ms_max` of how long a batch took, `over_s` from the first one's
    begin to the last one's end.
    """

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._minute: _Minute | None = None

    def carried(self, now: float, *, took_s: float, **counts: int) -> dict[str, float] | None:
        """One batch is through. counts: what it had, such as events and rows."""
        line = self.due(now)
        if self._minute is None:
            self._minute = _Minute(now - took_s, now + self._every_s)
        self._minute.add(now, took_s, counts)
        return line

    def due(self, now: float) -> dict[str, float] | None:
        """To be asked now and then, so that the last line before a silence is not late."""
        return self.rest() if self._minute is not None and now >= self._minute.until else None

    def rest(self) -> dict[str, float] | None:
        """At the end: what is held, though its minute runs."""
        minute, self._minute = self._minute, None
        return None if minute is None else minute.line()


class _Minute:
    def __init__(self, began: float, until: float) -> None:
        self.until = until
        self._began = self._ended = began
        self._counts: Counter[str] = Counter()
        self._batches = 0
        self._durations: list[float] = []
        self._stride = 1
        self._longest_s = 0.0

    def add(self, now: float, took_s: float, counts: dict[str, int]) -> None:
        self._ended = now
        self._counts.update(counts)
        self._longest_s = max(self._longest_s, took_s)
        if self._batches % self._stride == 0:
            self._durations.append(took_s)
            if len(self._durations) > _MOST_DURATIONS:
                del self._durations[1::2]
                self._stride *= 2
        self._batches += 1

    def line(self) -> dict[str, float]:
        middle_s = sorted(self._durations)[len(self._durations) // 2]
        return {
            **self._counts,
            "batches": self._batches,
            "ms_p50": round(middle_s * 1000, 1),
            "ms_max": round(self._longest_s * 1000, 1),
            "over_s": round(self._ended - self._began, 1),
        }
