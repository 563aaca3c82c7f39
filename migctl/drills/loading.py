"""Load of a drill's own deployment: its serve, subscribers and producers, then what was acknowledged against what came."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from migctl.drills import evidence
from migctl.drills.measuring import Found, measure
from migctl.drills.world.deployment import Deployment, NotReady

if TYPE_CHECKING:
    from migctl.drills.running import Run

_PRODUCER_S = 30.0
_SUBSCRIBERS_S = 30.0
_SERVE_S = 30.0
# How long is waited for those who ask a serve that will not come back.
_GONE_S = 5.0


class OwnLoad:
    """The `running.Load` of a deployment."""

    def __init__(self, on: Deployment) -> None:
        self._on = on

    def begin(self, run: Run) -> None:
        of, on = run.configuration, self._on
        run.write("phase", "starting serve, subscribers and producers")
        on.start_serve()
        for kind, count in of.subscribers.by_kind().items() if of.subscribers is not None else ():
            for number in range(1, count + 1):
                on.subscribe(f"{kind}-{number}", kind, token_s=of.token_ttl_s)
        on.ready()
        recording = Path(of.recording) if of.recording is not None else None
        on.produce(rate=of.rate_per_s, seconds=None, workers=of.workers, batch=of.batch, recording=recording)
        on.wait(on.acknowledged.exists, "the first event", on.producer)
        run.began = time.time()
        run.write("phase", "load")

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
        assert on.producer is not None
        on.producer.send(signal.SIGTERM)
        # Who is never started again takes nothing, and drains nothing.
        there = on.serve is not None and on.serve.alive
        run.wait_until(
            lambda: on.producer is not None and not on.producer.alive, _PRODUCER_S if there else _GONE_S
        )
        within_s = of.drain_s if there else 0.0
        if not run.wait_until(lambda: self._is_drained(run), within_s):
            why = f"not everything came within {within_s:g} s" if there else "serve did not come back"
            run.conclude("fail", why)
        on.end_subscribers(_SUBSCRIBERS_S if there else _GONE_S)
        on.end_serve(_SERVE_S)
        run.write("phase", "judging")
        truth = evidence.truth_of(on)
        everyone = evidence.everyone(on, truth, run.away)
        return measure(truth, everyone, run.struck, list(run.samples), since=run.began, until=run.until)

    def _is_drained(self, run: Run) -> bool:
        status = self._on.status()
        if status is None or status.relay is None:
            return False
        head = status.journal.head
        return status.relay.table_head == head and all(seq >= head for seq in run.heads().values())
