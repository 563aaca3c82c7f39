"""A soak: a real deployment under load, a random fault every few seconds, and at the end whether anything was lost or doubled.

    ./dev run python benchmarks/soak.py [--minutes 10] [--rate 500] [--every 15] [--seed N] [--output json]

Producers post until each event is acknowledged. Six subscribers, each a process: two migctl.Subscribers assigned Realtime, one
assigned the WebSocket, and a capture of each transport, Realtime's by broadcast and by postgres_changes. Every --every seconds one
fault from `faults.py` strikes, mostly for 1 to 8 s; what it killed is started again. Then everything drains, and is judged:
acknowledged = rows + tombstones, seqs without hole, and each subscriber's releases are one whole run from its start. Exit 1 if
anything was lost or doubled, or a subscriber can not say that it has everything. Availability and the missed seconds are
printed with the fault they follow; `availability.py` has the measures.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.faults import FAULTS, SERVE_KILLED, SHORT_TOKEN_S, Armed, Deck, lasts_s
from benchmarks.soak_view import Tail, draw, tell
from migctl.cli.live import Display
from migctl.drills import evidence, judging
from migctl.drills.availability import Fault
from migctl.drills.world.deployment import Deployment, deployed

if TYPE_CHECKING:
    from random import Random

SUBSCRIBERS = {
    "subscriber-1": ("whole:realtime", SHORT_TOKEN_S),
    "subscriber-2": ("whole:realtime", 3600.0),
    "subscriber-3": ("whole:websocket", 3600.0),
    "capture-realtime": ("realtime", SHORT_TOKEN_S),
    "capture-changes": ("changes", 3600.0),
    "capture-websocket": ("websocket", 3600.0),
}
TICK_S = 0.25
DRAIN_S = 90.0
CALM_S = 5.0


@dataclass
class Soak:
    """One run. faults: those that were lifted."""

    on: Deployment
    options: argparse.Namespace
    chance: Random
    display: Display
    began: float = 0.0
    faults: list[Fault] = field(default_factory=list)
    away: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    line: str = ""
    died: list[str] = field(default_factory=list)
    _tails: dict[str, Tail] = field(default_factory=dict)
    _armed: tuple[str, float, float, Armed] | None = None

    def run(self) -> dict[str, Any]:
        self.start()
        end = self.began + self.options.minutes * 60
        names = list(self.options.only or FAULTS)
        deck = Deck(names, self.chance)
        calm = min(CALM_S, self.options.every / 3)
        next_fault = self.began + calm
        # The last fault has ended, and some calm has passed, before the end: what it did is part of the run.
        while time.time() < end or self._armed is not None:
            now = time.time()
            if self._armed is not None and now >= self._armed[2]:
                self.lift()
            elif self._armed is None and now >= next_fault and now < end - calm:
                self.arm(deck.draw())
                next_fault = now + self.options.every
            self.tick()
        until = time.time()
        drained = self.finish()
        return self.judge(until, drained)

    def start(self) -> None:
        self.say("starting serve, subscribers and producers")
        self.on.start_serve()
        for name, (kind, token_s) in SUBSCRIBERS.items():
            made = self.on.subscribe(name, kind, token_s=token_s)
            self._tails[name] = Tail(made.path)
        self.on.ready()
        self.on.produce(rate=self.options.rate, seconds=None, workers=4, batch=self.options.batch)
        self.on.wait(self.on.acknowledged.exists, "the first event", self.on.producer)
        self.began = time.time()

    def arm(self, name: str) -> None:
        seconds = lasts_s(name, self.chance)
        now = time.time()
        armed = FAULTS[name](self.on, self.chance)
        self._armed = (name, now, now + seconds, armed)
        self.say(f"{name} for {seconds:.1f} s" + (f" ({armed.detail})" if armed.detail else ""))

    def lift(self) -> None:
        assert self._armed is not None
        name, armed_at, _, armed = self._armed
        armed.lift()
        now = time.time()
        if armed.away is not None:
            self.away.setdefault(armed.away, []).append((armed_at, now))
        self.faults.append(Fault(name, armed_at, now))
        self._armed = None
        self.say(f"{name} lifted")

    def tick(self) -> None:
        """Look at everything once, show it, and wait a moment.

        Serve that died by itself is noted, which fails the soak, and started again as a supervisor would. Raises where another
        process has died that was not killed.
        """
        producer = self.on.producer
        if producer is not None and not producer.alive and producer.exit_code != 0:
            raise RuntimeError(f"the producer ended with {producer.exit_code}:\n{producer.log_tail()}")
        for each in self.on.subscribers.values():
            if not each.child.alive:
                raise RuntimeError(f"{each.name} ended with {each.child.exit_code}:\n{each.child.log_tail()}")
        killed = self._armed is not None and self._armed[0] == SERVE_KILLED
        if self.on.serve is not None and not self.on.serve.alive and not killed:
            self.died.append(f"exit code {self.on.serve.exit_code}: {self.on.serve.log_tail(lines=3)}")
            self.say(f"serve died by itself: {self.died[-1]}")
            self.on.begin_serve()
        elapsed = time.time() - self.began
        heads = {name: tail.look() for name, tail in self._tails.items()}
        self.display.show(
            elapsed, self.line, draw(elapsed, self.options.minutes * 60, self.on, heads, self.line)
        )
        time.sleep(TICK_S)

    def say(self, line: str) -> None:
        self.line = line
        self.display.show(time.time() - self.began if self.began else 0.0, line)

    def finish(self) -> bool:
        """Stop the producers, let everything drain, then end what runs. False where it did not drain in time."""
        on = self.on
        assert on.producer is not None
        assert on.serve is not None
        self.say("stopping the producers")
        on.producer.send(signal.SIGTERM)
        self.until(lambda: on.producer is not None and not on.producer.alive, 30.0)
        self.say("draining")
        drained = self.until(self.is_drained, DRAIN_S)
        on.end_subscribers()
        on.serve.stop(signal.SIGTERM, 30)
        return drained

    def is_drained(self) -> bool:
        status = self.on.status()
        if status is None or status.relay is None:
            return False
        head = status.journal.head
        return status.relay.table_head == head and all(tail.seq >= head for tail in self._tails.values())

    def until(self, condition: Callable[[], bool], within_s: float) -> bool:
        deadline = time.time() + within_s
        while not condition():
            if time.time() > deadline:
                return False
            self.tick()
        return True

    def judge(self, until: float, drained: bool) -> dict[str, Any]:
        self.say("judging")
        truth = evidence.truth_of(self.on)
        store = judging.judge_store(truth)
        everyone = [
            evidence.heard_by(each, self.away.get(each.name, [])) for each in self.on.subscribers.values()
        ]
        found = judging.judge(everyone, truth, self.faults, self.began, until)
        lost = sum(each.lost for each in found.subscribers) + store.lost_after_acknowledgement
        doubled = sum(each.duplicates for each in found.subscribers) + store.doubled_in_the_table
        sound = store.is_sound and all(each.is_sound for each in found.subscribers)
        return {
            "schema": "migctl.soak/1",
            "seed": self.options.seed,
            "minutes": self.options.minutes,
            "rate_per_s": self.options.rate,
            "seconds": round(until - self.began, 1),
            "verdict": "pass" if sound and drained and not self.died else "fail",
            "drained": drained,
            "lost": lost,
            "duplicates": doubled,
            "serve_died": self.died,
            "retried_requests": sum(line.tries > 1 for line in evidence.acknowledged(self.on)),
            "store": msgspec.to_builtins(store),
            **msgspec.to_builtins(found),
        }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=500.0, help="events/s")
    parser.add_argument("--batch", type=int, default=5, help="events a request")
    parser.add_argument("--every", type=float, default=15.0, help="seconds from one fault to the next")
    parser.add_argument("--seed", type=int, default=None, help="of the faults; default: a new one, printed")
    parser.add_argument("--only", action="append", choices=list(FAULTS), help="only these; may be repeated")
    parser.add_argument("--rtt-ms", type=float, default=0.0, help="round trip between us and the stack")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep logs, captures and journal there")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.randrange(1 << 30)
    sys.stderr.write(f"seed {options.seed}\n")
    with deployed(rtt_s=options.rtt_ms / 1000, keep=options.keep) as on:
        with Display(quiet=False) as display:
            found = Soak(on, options, random.Random(options.seed), display).run()
        if options.keep is not None:
            (options.keep / "verdict.json").write_text(json.dumps(found, indent=2))
    if options.output == "json":
        print(json.dumps(found, indent=2))
    else:
        tell(found)
    return 0 if found["verdict"] == "pass" else 1


if __name__ == "__main__":
    sys.exit(main())
