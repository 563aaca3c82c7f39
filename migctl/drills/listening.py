"""Load of a read-only drill: whatever the operator's own deployment carries. Judged by its journal, as serve gives it over HTTP."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from migctl.drills import evidence
from migctl.drills.judging import Truth
from migctl.drills.measuring import Found, measure
from migctl.drills.world.observed import Observed
from migctl.events import Position

if TYPE_CHECKING:
    from migctl.drills.running import Run

# A subscriber waits so long for what was committed before it was asked to end.
_SUBSCRIBERS_S = 30.0


class ListenedTo:
    """The `running.Load` of a deployment that is observed."""

    def __init__(self, on: Observed) -> None:
        self._on = on
        self._from = self._until = Position("", 0)

    def begin(self, run: Run) -> None:
        of, on = run.configuration, self._on
        run.write("phase", f"listening to {on.name}; nothing is published, written or broken there")
        self._from = _head(on)
        on.listen()
        for kind, count in of.subscribers.by_kind().items() if of.subscribers is not None else ():
            for number in range(1, count + 1):
                on.subscribe(f"{kind}-{number}", kind)
        on.ready()
        run.began = time.time()
        run.write("phase", "load")

    def check(self, run: Run) -> None:
        if run.until == 0.0:
            self._on.need_subscribers()

    def end(self, run: Run) -> Found | None:
        """None where no subscriber was asked for: then the probes have said all."""
        on = self._on
        if not on.subscribers:
            return None
        run.pass_time(run.configuration.calm_s)
        run.until = time.time()
        self._until = _head(on)
        run.write("phase", "draining")
        on.end_subscribers(_SUBSCRIBERS_S)
        run.write("phase", "judging")
        if self._until.epoch != self._from.epoch:
            run.conclude("inconclusive", "the journal began a new epoch while it was listened to")
            return None
        journal = asyncio.run(on.events(self._from, self._until))
        if journal is None:
            run.conclude("inconclusive", "the journal no longer has what was committed meanwhile")
            return None
        last = (self._until.epoch, self._until.seq)
        everyone = [evidence.heard_by(each) for each in on.subscribers.values()]
        truth = Truth([], journal, [], [], is_foreign=True)
        everyone = [evidence.within(one, last) for one in everyone]
        if not journal:
            run.conclude(
                "inconclusive", "no event was committed meanwhile: there was nothing to be silent of"
            )
        return measure(truth, everyone, [], list(run.samples), since=run.began, until=run.until)


def _head(on: Observed) -> Position:
    journal = on.need_status().journal
    return Position(journal.epoch, journal.head)
