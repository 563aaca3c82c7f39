"""Deaths of a worker: whether it is started again, and when. Pure: given the times.

| it ended with                         | then                                                                       |
|---------------------------------------|----------------------------------------------------------------------------|
| 0: asked to stop, or done             | the end, with the same code                                                |
| 2, 4: settings, or refused for safety | the end, with the same code: nothing is better the next time               |
| 1, with `--until-done`: was rejected  | the end, with the same code                                                |
| else, after `settled_s` or more       | started again at once                                                      |
| else, sooner                          | the first at once, then after a bound that doubles; after `most` the end   |
"""

from __future__ import annotations

from dataclasses import dataclass

from migctl.exits import Exit
from migctl.resilience import Backoff

FINAL = frozenset({Exit.DONE, Exit.UNUSABLE, Exit.REFUSED})


@dataclass(frozen=True, slots=True)
class Again:
    """Start it again after this many seconds."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class End:
    """End with this code. crashing: because it died too often."""

    code: int
    crashing: bool = False


class Deaths:
    """settled_s: one that served for so long did not fail at its start. most: quick deaths in a row, before it is the end.

    until_done: a worker may also be done and have found something wanting (1).
    """

    def __init__(self, backoff: Backoff, *, settled_s: float, most: int, until_done: bool = False) -> None:
        self._final = FINAL | {Exit.WANTING} if until_done else FINAL
        self._backoff = backoff
        self._settled_s = settled_s
        self._most = most
        self.quick = 0

    def died(self, code: int, served_s: float) -> Again | End:
        """code: as of Popen, below 0 the signal that killed it. served_s: since it was ready, 0 where it never was."""
        if code in self._final:
            return End(code)
        if served_s >= self._settled_s:
            self.quick = 0
            return Again(0.0)
        self.quick += 1
        if self.quick > self._most:
            return End(code if code > 0 else Exit.OURS, crashing=True)
        return Again(0.0 if self.quick == 1 else self._backoff.bound_s(self.quick - 1))
