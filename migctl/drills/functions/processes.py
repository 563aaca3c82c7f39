"""Faults of processes that the drill started: killed, stopped, started again."""

from __future__ import annotations

import signal
from typing import Annotated, Literal

from pydantic import Field

from migctl.drills.document import Section
from migctl.drills.functions.registry import Armed, fault
from migctl.drills.world.deployment import Deployment, NotReady
from migctl.faults import go_on, stop
from migctl.stack import Part
from migctl.stack.launcher import Child
from migctl.stack.process import wait_until

GONE_S = 10.0
_SIGNALS = {"KILL": signal.SIGKILL, "TERM": signal.SIGTERM, "QUIT": signal.SIGQUIT, "INT": signal.SIGINT}


class OfServe(Section):
    signal: Annotated[Literal["KILL", "TERM"], Field(description="KILL or TERM")] = "KILL"
    whole: Annotated[
        bool, Field(description="true: of a supervised serve the supervisor too, not its worker alone")
    ] = False


class OfProcess(Section):
    process: Annotated[
        str,
        Field(min_length=1, description="serve, producer, or a subscriber's name such as whole:realtime-1"),
    ]


class OfStep(Section):
    seconds: Annotated[float, Field(description="seconds: above 0 into the future, below 0 into the past")]


class OfPart(Section):
    part: Annotated[Part, Field(description="postgres, valkey or standin")]
    signal: Annotated[
        Literal["KILL", "QUIT", "INT", "TERM"],
        Field(description="KILL; for postgres QUIT is a crash, INT a quick stop"),
    ] = "KILL"


@fault("kill-serve", OfServe)
def kill_serve(on: Deployment, of: OfServe) -> Armed:
    """`serve` is killed; it is started again when the fault is lifted. A supervised one loses its worker, and takes the next."""
    if on.supervised and not of.whole:
        worker = on.worker()
        worker.signal(_SIGNALS[of.signal])
        worker.wait_gone(GONE_S)
        return Armed(lambda: None, f"its worker, pid {worker.pid}")
    serve = _child(on, "serve")
    serve.stop(_SIGNALS[of.signal], GONE_S)

    def lift() -> None:
        if "restart" not in on.without and (on.serve is None or not on.serve.alive):
            on.begin_serve()

    return Armed(lift, f"pid {serve.pid}")


@fault("clock-step", OfStep)
def clock_step(on: Deployment, of: OfStep) -> Armed:
    """The wall clock of `serve` steps; `configuration.clock: true` is needed for it."""
    clock = on.clock
    if clock is None:
        raise NotReady(
            "the clock of serve can't be stepped: the drill's file lacks `configuration: { clock: true }`"
        )
    clock.step(of.seconds)
    return Armed(lambda: clock.step(0), f"{of.seconds:+g} s")


@fault("stop-process", OfProcess)
def stop_process(on: Deployment, of: OfProcess) -> Armed:
    """A process stands still: its sockets stay open, and it answers nothing. Of a supervised `serve` it is the worker."""
    if of.process == "serve" and on.supervised:
        worker = on.worker()
        worker.signal(signal.SIGSTOP)
        return Armed(lambda: worker.signal(signal.SIGCONT), f"its worker, pid {worker.pid}")
    child = _child(on, of.process)
    stop(child)
    away = of.process if of.process in on.subscribers else None
    return Armed(lambda: go_on(child), f"{of.process}, pid {child.pid}", away)


@fault("kill-part", OfPart, needs=lambda of: of.part)
def kill_part(on: Deployment, of: OfPart) -> Armed:
    """A part of the stack is killed; it is started again when the fault is lifted."""
    on.stack.kill(of.part, _SIGNALS[of.signal])

    def lift() -> None:
        wait_until(lambda: not any(one.up for one in on.stack.status() if one.part == of.part), GONE_S)
        on.stack.start_part(of.part)

    return Armed(lift, f"{of.part}, SIG{of.signal}")


def _child(on: Deployment, name: str) -> Child:
    """Raises NotReady where there is no such process."""
    child = on.serve if name == "serve" else on.producer if name == "producer" else None
    if child is None and name in on.subscribers:
        child = on.subscribers[name].child
    if child is None:
        raise NotReady(f"there is no process {name!r}: serve, producer, {', '.join(on.subscribers)}")
    return child
