"""Supervisor: keeps a `serve` serving. It holds the listening sockets, and starts a worker on them again when one dies.

It accepts nothing: while no worker is there, who connects waits in the backlog of the socket, and is answered by the next one. A
second worker stands by with everything imported, so that to take over is to open the journal. A worker dies with its parent,
however that dies, and a new one gets its turn only when the one before is gone.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence

from migctl.clock import now
from migctl.config.settings import SupervisionSection
from migctl.resilience import Backoff, News
from migctl.status import SupervisionStatus
from migctl.supervision.deaths import Deaths, End
from migctl.supervision.heart import READY, STOPPING, Heart
from migctl.supervision.terminal import Terminal
from migctl.supervision.turn import Turn
from migctl.supervision.watchdog import TICKS
from migctl.supervision.worker import Worker
from migctl.telemetry import get_logger

PASSED_ON = (signal.SIGUSR1, signal.SIGUSR2)

log = get_logger("supervision")


class Supervisor:
    """`run` once. program: of a serve, without its descriptors. heart: of ours. notify: of what an operator must hear."""

    def __init__(
        self,
        program: Sequence[str],
        listening: Sequence[socket.socket],
        rules: SupervisionSection,
        *,
        heart: Heart,
        notify: Callable[[str], None],
        until_done: bool = False,
    ) -> None:
        self._program = program
        self._listening = listening
        self._rules = rules
        self._heart = heart
        self._notify = notify
        self._deaths = Deaths(
            Backoff(rules.first_delay_s, rules.max_delay_s),
            settled_s=rules.settled_s,
            most=rules.max_quick_deaths,
            until_done=until_done,
        )
        self._changed = News()
        self._stop = asyncio.Event()
        self._supervision = SupervisionStatus(restarts=0)
        self._worker: Worker | None = None
        self._standby: Worker | None = None
        self._hung = False

    async def run(self) -> int:
        """Until it is stopped, or its workers can't go on; the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        for number in PASSED_ON:
            loop.add_signal_handler(number, self._pass_on, number)
        loop.add_signal_handler(signal.SIGHUP, self._hear, Terminal())
        try:
            async with self._heart.beating():
                while True:
                    worker = self._worker = await self._next()
                    if self._stop.is_set():
                        return 0
                    worker.go(Turn(silence_s=self._rules.silence_s, supervision=self._supervision))
                    verdict = await self._over(worker)
                    if verdict is not None:
                        return verdict
        finally:
            for each in (self._worker, self._standby):
                if each is not None and each.alive:
                    each.send(signal.SIGKILL)
                    await each.process.wait()

    async def _next(self) -> Worker:
        """Who stands by, else one that has yet to import everything."""
        standby, self._standby = self._standby, None
        if standby is not None and standby.alive:
            return standby
        if standby is not None:
            standby.close()
        return await self._start()

    async def _start(self) -> Worker:
        return await Worker.start(self._program, self._listening, self._changed)

    async def _over(self, worker: Worker) -> int | None:
        """One worker, from its turn to its end. The exit code where that is the end; None where another takes its place."""
        ended = asyncio.ensure_future(worker.process.wait())
        watching = asyncio.ensure_future(self._watch(worker))
        try:
            code = await ended
        finally:
            watching.cancel()
            await asyncio.wait([watching])
            worker.close()
        loop = asyncio.get_running_loop()
        served_s = loop.time() - worker.ready_at if worker.ready_at is not None else 0.0
        if self._stop.is_set():  # before it heard signals, SIGTERM kills it: there is nothing to drain
            return {-signal.SIGTERM: 0}.get(code, code if code >= 0 else 128 - code)
        verdict = self._deaths.died(code, served_s)
        reason = "its loop hung, and it was killed" if self._hung else words(code)
        self._hung = False
        if isinstance(verdict, End):
            if verdict.crashing:
                self._notify(
                    f"the worker died {self._deaths.quick} times within {self._rules.settled_s:g} s of its start, "
                    f"the last time: {reason}; mend what its log says and start serve again"
                )
            return verdict.code
        restarts = self._supervision.restarts + 1
        self._supervision = SupervisionStatus(restarts=restarts, last_reason=reason, last_at=now())
        log.error(
            "the worker died: the next one takes over",
            reason=reason,
            restarts=restarts,
            delay_s=verdict.delay_s,
        )
        if verdict.delay_s:
            stopped = asyncio.ensure_future(self._stop.wait())
            await asyncio.wait([stopped], timeout=verdict.delay_s)
            stopped.cancel()
            if self._stop.is_set():
                return 0
        return None

    async def _watch(self, worker: Worker) -> None:
        """See that it beats; say that it is ready; then have another stand by."""
        announced = False
        while True:
            news = await self._changed.wait(self._rules.silence_s / TICKS)
            if worker.ready_at is not None and not announced:
                announced = True
                self._heart.send(READY, f"{worker.state}, restarts: {self._supervision.restarts}")
                # Only now: two that start at the same time keep each other waiting.
                self._standby = self._standby or await self._start()
            # Until it is warm it imports, and has no loop that could beat.
            if not news and worker.is_warm and worker.watchdog.tick():
                log.error(
                    "the worker's loop hangs: it is killed",
                    pid=worker.process.pid,
                    silence_s=self._rules.silence_s,
                )
                self._hung = True
                worker.send(signal.SIGKILL)

    def _end(self) -> None:
        if not self._stop.is_set():
            self._stop.set()
            self._heart.send(STOPPING)
        if self._worker is not None:
            self._worker.send(signal.SIGTERM)
            self._worker.send(signal.SIGCONT)

    def _hear(self, terminal: Terminal) -> None:
        if terminal.is_gone():
            self._end()
        else:
            self._pass_on(signal.SIGHUP)

    def _pass_on(self, number: signal.Signals) -> None:
        if self._worker is not None:
            self._worker.send(number)


def words(code: int) -> str:
    """How it ended, for people."""
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        return f"it was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was killed by signal {-code}"
