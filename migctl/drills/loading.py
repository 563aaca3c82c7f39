"""Load of a drill's own deployment: its serve, subscribers and producers, then what was acknowledged against what came."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from migctl.drills import evidence
from migctl.drills.judging import Place
from migctl.drills.measuring import Found, measure
from migctl.drills.world.deployment import Deployment, NotReady
from migctl.status import TapStatus

if TYPE_CHECKING:
    from migctl.drills.running import Run

_PRODUCER_S = 30.0
_SUBSCRIBERS_S = 30.0
_SERVE_S = 30.0
# How long is waited for those who ask a serve that will not come back.
_GONE_S = 5.0
# A live stream brings something within this time, or there is nothing to drill with.
_FIRST_S = 60.0


class OwnLoad:
    """The `running.Load` of a deployment."""

    def __init__(self, on: Deployment) -> None:
        self._on = on
        self._last: Place | None = None  # of a live stream: what is judged ends there

    def begin(self, run: Run) -> None:
        of, on = run.configuration, self._on
        who = f"tapping {on.source}, as one more client" if on.source is not None else "producers"
        run.write("phase", f"starting serve, subscribers and {who}")
        on.start_serve()
        for kind, count in of.subscribers.by_kind().items() if of.subscribers is not None else ():
            if kind == "legacy" and on.source is not None:
                continue  # it knows an event by what our producers put into it
            for number in range(1, count + 1):
                on.subscribe(f"{kind}-{number}", kind, token_s=of.token_ttl_s)
        on.ready()
        if on.source is not None:
            if not run.wait_until(lambda: self._head() > 0, _FIRST_S):
                status = on.status()
                state = status.source.state if status is not None and status.source is not None else "away"
                run.conclude(
                    "inconclusive",
                    f"no event came from {on.source} within {_FIRST_S:g} s; the tap is {state}",
                )
                return
            self._start(run)
            return
        recording = Path(of.recording) if of.recording is not None else None
        on.produce(rate=of.rate_per_s, seconds=None, workers=of.workers, batch=of.batch, recording=recording)
        on.wait(on.acknowledged.exists, "the first event", on.producer)
        self._start(run)

    def _start(self, run: Run) -> None:
        run.began = time.time()
        run.write("phase", "load")

    def _head(self) -> int:
        status = self._on.status()
        return status.journal.head if status is not None else 0

    def check(self, run: Run) -> None:
        """Watch the processes: one that died though nobody killed it fails the drill, and serve is started again."""
        on = self._on
        producer = on.producer
        if producer is not None and not producer.alive and producer.exit_code != 0:
            raise NotReady(f"the producer ended with {producer.exit_code}:\n{producer.log_tail()}")
        if run.until == 0.0:
            on.need_subscribers()
        if (
            on.serve is not None
            and not on.serve.alive
            and not run.kills_serve
            and "restart" not in on.without
        ):
            run.conclude("fail", f"serve died by itself: {on.serve.exit_code}: {on.serve.log_tail(lines=3)}")
            on.begin_serve()

    def end(self, run: Run) -> Found:
        of, on = run.configuration, self._on
        run.pass_time(of.calm_s)
        run.until = time.time()
        run.write("phase", "draining")
        # Who is never started again takes nothing, and drains nothing.
        there = on.serve is not None and on.serve.alive
        producer = on.producer
        if producer is not None:
            producer.send(signal.SIGTERM)
            run.wait_until(lambda: not producer.alive, _PRODUCER_S if there else _GONE_S)
        else:
            self._last = self._stops_here(run)
        within_s = of.drain_s if there else 0.0
        if not run.wait_until(lambda: self._is_drained(run), within_s):
            why = f"not everything came within {within_s:g} s" if there else "serve did not come back"
            run.conclude("fail", why)
        on.end_subscribers(_SUBSCRIBERS_S if there else _GONE_S)
        on.end_serve(_SERVE_S)
        run.write("phase", "judging")
        truth = evidence.truth_of(on)
        everyone = evidence.everyone(on, truth, run.away)
        if self._last is not None:
            truth = evidence.until(truth, self._last)
            everyone = [evidence.within(one, self._last) for one in everyone]
        return measure(truth, everyone, run.struck, list(run.samples), since=run.began, until=run.until)

    def _stops_here(self, run: Run) -> Place | None:
        """A live stream is not ours to end: what it brings from now on is not judged. None where serve does not answer."""
        status = self._on.status()
        if status is None:
            return None
        if isinstance(status.source, TapStatus):
            lost = f"{status.source.outages.count} outages, {status.source.outages.total_s:g} s; rejected {status.source.rejected}"
            run.write("source", f"before the journal, and in no figure of this drill: {lost}")
        return status.journal.epoch, status.journal.head

    def _is_drained(self, run: Run) -> bool:
        status = self._on.status()
        if status is None or status.relay is None:
            return False
        head = status.journal.head if self._last is None else self._last[1]
        there = status.relay.table_head == head if self._last is None else status.relay.table_head >= head
        return there and all(seq >= head for seq in run.heads().values())
