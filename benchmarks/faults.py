"""Faults of the soak: each strikes real parts of a deployment, and is lifted again.

A fault is a function that arms it and returns how it is lifted; where it strikes one subscriber, its name too.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from migctl.drills.world.deployment import Deployment
from migctl.faults import go_on, stop, switches
from migctl.stack import Part
from migctl.stack.launcher import Child
from migctl.stack.process import wait_until

SERVE_KILLED = "serve killed"
STOPPED_S = 3.0
SLOW_RTT_S = 0.5
# A rate counter looks back over ticks of 5 s.
RATE_LIMITED_S = 8.0
# Longer than the tokens of `SHORT_TOKEN_S` live: whoever has one holds an expired one in the end.
NO_TOKENS_S = 10.0
SHORT_TOKEN_S = 8.0
_GONE_S = 10.0


@dataclass(frozen=True)
class Armed:
    """lift: makes it well again. detail: what exactly was struck. away: the subscriber that is stopped by it."""

    lift: Callable[[], Any]
    detail: str = ""
    away: str | None = None


def serve_killed(on: Deployment, _: Random) -> Armed:
    assert on.serve is not None
    on.serve.stop(signal.SIGKILL, _GONE_S)
    return Armed(on.begin_serve)


def subscriber_stopped(on: Deployment, chance: Random) -> Armed:
    name = chance.choice(sorted(on.subscribers))
    child: Child = on.subscribers[name].child
    stop(child)
    return Armed(lambda: go_on(child), name, name)


def postgres_restarted(on: Deployment, _: Random) -> Armed:
    on.stack.kill(
        "postgres", signal.SIGQUIT
    )  # PostgreSQL's immediate shutdown: as a crash, it recovers from its WAL
    return Armed(lambda: _start(on, "postgres"))


def standin_killed(on: Deployment, _: Random) -> Armed:
    on.stack.kill("standin")
    return Armed(lambda: _start(on, "standin"))


def rate_limited(on: Deployment, _: Random) -> Armed:
    before = on.stack.standin_options
    _options(on, replace(before, rates="free"))
    return Armed(lambda: _options(on, before), "the stand-in on the free plan, restarted for it")


def _options(on: Deployment, options: Any) -> None:
    on.stack.change_standin(options)
    on.stack.start_part("standin")


def refused(on: Deployment, _: Random) -> Armed:
    on.proxy.do("refuse")
    return Armed(lambda: on.proxy.do("heal"))


def reset(on: Deployment, _: Random) -> Armed:
    return Armed(lambda: None, f"{on.proxy.do('reset').connections} connections so far")


def black_hole(on: Deployment, _: Random) -> Armed:
    on.proxy.do("black_hole")
    return Armed(lambda: on.proxy.do("heal"))


def answers_lost(on: Deployment, _: Random) -> Armed:
    before = on.proxy.do("lose_answers", "POST /rest").cuts
    return Armed(lambda: on.proxy.do("heal"), f"to writes, {before} before")


def cut_in_the_middle(on: Deployment, chance: Random) -> Armed:
    count = chance.randrange(1, 100_000)
    on.proxy.do("cut_after", count)
    return Armed(lambda: on.proxy.do("heal"), f"one connection, {count} bytes on")


def slow_line(on: Deployment, _: Random) -> Armed:
    on.proxy.do("delay", SLOW_RTT_S / 2)
    return Armed(lambda: on.proxy.do("delay", on.rtt_s / 2))


def channel_closed(on: Deployment, _: Random) -> Armed:
    switches.switch_on(on.direct, "channel-closed")
    return Armed(lambda: None)


def sockets_closed(on: Deployment, _: Random) -> Armed:
    switches.switch_on(on.direct, "clean-close")
    return Armed(lambda: None)


def tokens_expire(on: Deployment, _: Random) -> Armed:
    path = on.no_tokens
    path.touch()
    return Armed(lambda: path.unlink(missing_ok=True), f"tokens of {SHORT_TOKEN_S:g} s, none new")


def slot_lost(on: Deployment, _: Random) -> Armed:
    import psycopg

    with psycopg.connect(on.stack.admin_url, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT count(pg_terminate_backend(active_pid)) FROM pg_replication_slots WHERE active_pid IS NOT NULL"
        ).fetchone()
    return Armed(lambda: None, f"{ended[0] if ended else 0} walsenders ended")


def _start(on: Deployment, part: Part) -> None:
    wait_until(lambda: not any(each.up for each in on.stack.status() if each.part == part), _GONE_S)
    on.stack.start_part(part)


FAULTS: dict[str, Callable[[Deployment, Random], Armed]] = {
    SERVE_KILLED: serve_killed,
    "subscriber stopped": subscriber_stopped,
    "PostgreSQL restarted": postgres_restarted,
    "stand-in killed": standin_killed,
    "refused": refused,
    "reset": reset,
    "black hole": black_hole,
    "answers lost": answers_lost,
    "cut in an answer": cut_in_the_middle,
    "latency 500 ms": slow_line,
    "channel closed": channel_closed,
    "sockets closed": sockets_closed,
    "tokens expire": tokens_expire,
    "rate limited": rate_limited,
    "slot lost": slot_lost,
}
_LASTS = {
    "subscriber stopped": STOPPED_S,
    "rate limited": RATE_LIMITED_S,
    "tokens expire": NO_TOKENS_S,
}


def lasts_s(name: str, chance: Random) -> float:
    """How long this one stays armed: mostly one to eight seconds."""
    drawn = chance.uniform(1.0, 8.0)
    return _LASTS.get(name, drawn)


class Deck:
    """Faults in random order, each once before any comes again."""

    def __init__(self, names: list[str], chance: Random) -> None:
        self._names, self._chance = names, chance
        self._left: list[str] = []

    def draw(self) -> str:
        if not self._left:
            self._left = self._chance.sample(self._names, len(self._names))
        return self._left.pop()
