"""The nemesis: kills, stops, clock steps, faults and broken lines, drawn by seed. What it breaks it mends, for the next to break.

Three hands work at once: on `serve`, on the target's parts, on the lines between. What they do is drawn; what it meets is chance.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from tests.crash.history.lines import Line
from tests.crash.history.parts import Serve, Stack, below, send
from tests.crash.history.records import History
from tests.crash.history.tokens import Keys

STEPS_S = (0.0, 0.0, 2.0, -2.0, 600.0, -600.0, 86_400.0, 172_800.0, -3600.0)
_SWITCHES = (
    *("slot-loss", "subscriptions-cleared", "rate-skip", "early-reply"),
    *("clean-close", "channel-closed", "oversize", "poisoned-poll"),
)
# The worker's parent waits for 10 s of silence.
_HUNG_S = 13.0
# `serve` looks at its files every second or two, where it is given a processor.
_READ_WITHIN_S = 10.0
# Above the longest of a producer, and of a reader that connects.
_PATIENCE_S = 12.0
Act = Callable[[], Awaitable[None]]


def faketime() -> Path | None:
    """libfaketime, where it is installed."""
    places = (Path("/usr/lib"), Path("/usr/local/lib"))
    return next((one for place in places for one in place.glob("**/faketime/libfaketimeMT.so.1")), None)


class Clock:
    """The wall clock of what is started with `environ`: libfaketime reads by how much it is off, once a second."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.step(0)
        library = faketime()
        self.environ: dict[str, str] = {}
        if library is not None:
            self.environ = {
                "LD_PRELOAD": str(library),
                "FAKETIME_TIMESTAMP_FILE": str(self._file),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }

    def step(self, seconds: float) -> None:
        half = self._file.with_suffix(".new")
        half.write_text(f"{seconds:+g}")
        half.replace(self._file)


class Nemesis:
    """`run` until `stop` is set, then `calm`. quickness: how often it strikes; 1 is every five seconds a hand."""

    def __init__(
        self,
        seed: int,
        stack: Stack,
        serve: Serve,
        lines: Sequence[Line],
        clock: Clock,
        history: History,
        stop: asyncio.Event,
        *,
        keys: Keys,
        quickness: float = 1.0,
    ) -> None:
        self._rng = random.Random(f"nemesis {seed}")
        self._stack = stack
        self._serve = serve
        self._lines = lines
        self._clock = clock
        self._history = history
        self._stop = stop
        self._backups = 0
        self._keys = keys
        self._pause_s = 5.0 / quickness

    async def run(self) -> None:
        async with asyncio.TaskGroup() as hands:
            for name, acts in (
                ("serve", self._on_serve()),
                ("target", self._on_target()),
                ("lines", self._on_lines()),
            ):
                rng = random.Random(f"{name} {self._rng.random()}")
                hands.create_task(self._hand(rng, acts), name=name)

    async def calm(self) -> None:
        """All parts well: lines heal, clocks are right, faults are off, and everything runs."""
        for line in self._lines:
            line.heal()
        self._clock.step(0)
        await self._stack.up()
        await self._stack.fault("--clear")
        await self._serve.start()
        await self._serve.ready()

    async def _hand(self, rng: random.Random, acts: list[tuple[int, Act]]) -> None:
        weights = [weight for weight, _ in acts]
        while not await self._stopped(rng.expovariate(1 / self._pause_s)):
            (_, act), *_ = rng.choices(acts, weights)
            await act()

    async def _stopped(self, within_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), within_s)
        return self._stop.is_set()

    def _note(self, name: str, **more: object) -> None:
        self._history.write("fault", name=name, **more)

    def _between(self, least: float, most: float) -> float:
        return self._rng.uniform(least, most)

    # serve

    def _on_serve(self) -> list[tuple[int, Act]]:
        return [
            (6, self._kill_serve),
            (3, self._kill_serve_at_its_start),
            (5, self._kill_worker),
            (4, self._stop_serve),
            (1, self._hang_worker),
            (3, self._end_serve),
            (2, self._kill_serve_as_it_ends),
            (4, self._step_clock),
            (3, self._lock_journal),
            (1, self._start_another),
            (2, self._back_up),
            (2, self._revoke),
        ]

    async def _start_serve(self) -> None:
        await self._serve.gone()
        await asyncio.sleep(self._between(0, 1.5))
        self._serve.supervised = self._rng.random() < 0.5
        await self._serve.start()

    async def _kill_serve(self) -> None:
        self._note("kill serve", supervised=self._serve.supervised)
        self._serve.signal(signal.SIGKILL)
        await self._start_serve()

    async def _kill_serve_at_its_start(self) -> None:
        self._note("kill serve at its start")
        self._serve.signal(signal.SIGKILL)
        await self._serve.gone()
        starting = asyncio.create_task(self._serve.start())
        await asyncio.sleep(self._between(0.05, 2.5))
        self._serve.signal(signal.SIGKILL)
        await starting
        await self._start_serve()

    async def _kill_worker(self) -> None:
        children = below(self._serve.pid) if self._serve.pid else []
        if children:
            self._note("kill a worker of serve")
            send(self._rng.choice(children).pid, signal.SIGKILL)
            await self._serve.ready()
        else:
            await self._kill_serve()

    async def _stop_serve(self) -> None:
        pid = self._serve.pid
        if pid is None:
            return
        pids = [pid, *(one.pid for one in below(pid))]
        self._note("stop serve")
        await self._stand_still(pids, self._between(0.2, 6))

    async def _hang_worker(self) -> None:
        children = below(self._serve.pid) if self._serve.pid else []
        if children:
            self._note("stop the workers of serve until they are replaced")
            await self._stand_still([one.pid for one in children], _HUNG_S)
            await self._serve.ready()

    async def _end_serve(self) -> None:
        self._note("end serve")
        self._serve.signal(signal.SIGTERM)
        await self._start_serve()

    async def _kill_serve_as_it_ends(self) -> None:
        self._note("kill serve as it ends")
        self._serve.signal(signal.SIGTERM)
        await asyncio.sleep(self._between(0, 1.5))
        self._serve.signal(signal.SIGKILL)
        await self._start_serve()

    async def _step_clock(self) -> None:
        if self._clock.environ:
            seconds = self._rng.choice(STEPS_S)
            self._note("step the clock of serve", seconds=seconds)
            self._clock.step(seconds)

    async def _lock_journal(self) -> None:
        self._note("lock the journal")
        await asyncio.to_thread(_locked, self._serve.folder / "journal.db", self._between(0.5, 7))

    async def _revoke(self) -> None:
        """As an operator rotates a token: the new one beside the old, everybody moves, and the old one is taken out."""
        keys, old = self._keys, self._keys.current
        self._note("rotate the token")
        new = keys.offer()
        await self._read_again()
        keys.current = new
        # Whoever was about to send with the old one has given up by then.
        await self._stopped(_PATIENCE_S)
        if self._stop.is_set():
            return
        keys.only(new)
        await self._read_again()
        keys.revoked.append(old)

    async def _read_again(self) -> None:
        """By another start; or by itself, since the file has changed."""
        if self._rng.random() < 0.5:
            await asyncio.sleep(_READ_WITHIN_S)
        else:
            self._serve.signal(self._rng.choice((signal.SIGTERM, signal.SIGKILL)))
            await self._start_serve()

    async def _start_another(self) -> None:
        """A second one on the same journal must be refused, whatever the first one lives through."""
        self._note("start another serve")
        await self._serve.tool(4, "serve", "--listen", "127.0.0.1:0")

    async def _back_up(self) -> None:
        self._note("back up the journal")
        self._backups += 1
        await self._serve.tool(0, "journal", "backup", f"backup-{self._backups}.db")

    # The target

    def _on_target(self) -> list[tuple[int, Act]]:
        return [
            (4, self._kill_postgres),
            (3, self._kill_backend),
            (3, self._end_backend),
            (3, self._stop_postgres),
            (5, self._kill_standin),
            (2, self._end_standin),
            (4, self._stop_standin),
            (1, self._kill_valkey),
            (1, self._kill_stack),
            (5, self._switch),
        ]

    async def _strike(self, name: str, part: str, number: signal.Signals) -> None:
        pid = self._stack.pid(part)
        if pid is not None:
            self._note(name)
            send(pid, number)
            await asyncio.sleep(self._between(0, 3))
        await self._stack.up()

    async def _kill_postgres(self) -> None:
        await self._strike("kill postgres", "postgres", signal.SIGKILL)

    async def _kill_standin(self) -> None:
        await self._strike("kill the stand-in", "standin", signal.SIGKILL)

    async def _end_standin(self) -> None:
        await self._strike("end the stand-in", "standin", signal.SIGTERM)

    async def _kill_valkey(self) -> None:
        await self._strike("kill valkey", "valkey", signal.SIGKILL)

    async def _kill_stack(self) -> None:
        await self._strike("kill the owner of the stack", "supervisor", signal.SIGKILL)

    async def _kill_backend(self) -> None:
        self._to_backend("kill a backend of postgres", signal.SIGKILL)

    async def _end_backend(self) -> None:
        self._to_backend("end a backend of postgres", signal.SIGTERM)

    def _to_backend(self, name: str, number: signal.Signals) -> None:
        pid = self._stack.pid("postgres")
        sessions = [one for one in below(pid) if "127.0.0.1" in _title(one)] if pid else []
        if sessions:
            self._note(name)
            send(self._rng.choice(sessions).pid, number)

    async def _stop_postgres(self) -> None:
        pid = self._stack.pid("postgres")
        if pid is not None:
            self._note("stop postgres")
            await self._stand_still([pid, *(one.pid for one in below(pid))], self._between(0.5, 5))

    async def _stop_standin(self) -> None:
        pid = self._stack.pid("standin")
        if pid is not None:
            self._note("stop the stand-in")
            await self._stand_still([pid], self._between(0.5, 6))

    async def _switch(self) -> None:
        name = self._rng.choice(_SWITCHES)
        if await self._stack.fault(name, "--for", f"{self._between(1, 6):.1f}") == 0:
            self._note(f"switch {name}")

    # The lines

    def _on_lines(self) -> list[tuple[int, Act]]:
        return [(1, self._break_line)]

    async def _break_line(self) -> None:
        line = self._rng.choice(self._lines)
        how = self._rng.choice(("cut", "refuse", "hold", "hold and cut", "deaf", "delay", "half"))
        self._note(f"{how}: {line.name}")
        match how:
            case "cut":
                line.cut()
                return
            case "refuse":
                line.refusing = True
                line.cut()
            case "hold" | "hold and cut":
                line.hold(True)
            case "deaf":
                line.deaf = True
            case "delay":
                line.delay_s = self._between(0.01, 0.3)
            case _:
                line.budget = self._rng.randrange(1, 20_000)
        await self._stopped(self._between(0.2, 8))
        if how == "hold and cut":
            line.cut()
        line.heal()

    async def _stand_still(self, pids: Sequence[int], seconds: float) -> None:
        for pid in pids:
            send(pid, signal.SIGSTOP)
        try:
            await self._stopped(seconds)
        finally:
            for pid in pids:
                send(pid, signal.SIGCONT)


def _locked(journal: Path, seconds: float) -> None:
    """Another program has the journal's lock, as a backup tool may."""
    with (
        contextlib.suppress(sqlite3.OperationalError),
        contextlib.closing(sqlite3.connect(journal, timeout=2, isolation_level=None)) as database,
    ):
        database.execute("begin immediate")
        time.sleep(seconds)
        database.execute("rollback")


def _title(process: object) -> str:
    try:
        return " ".join(process.cmdline())  # type: ignore[attr-defined]
    except Exception:
        return ""
