"""Users move from one transport to the other: `migctl rollout set`, and over which transport subscribers receive."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Annotated, Literal

import msgspec
from pydantic import Field

from migctl.drills.document import Section
from migctl.drills.functions.registry import action, probe
from migctl.drills.world.deployment import Deployment, NotReady
from migctl.drills.world.tail import last_line

COMMAND_S = 60.0
_POLL_S = 0.05


class OfShare(Section):
    percent: Annotated[Literal[0, 25, 50, 75, 100], Field(description="0, 25, 50, 75 or 100")]
    moved_within_s: Annotated[
        float, Field(ge=0, description="seconds that are waited for subscribers to come, for 0 and 100 %")
    ] = 10.0


class OfTransport(Section):
    transport: Annotated[Literal["websocket", "realtime"], Field(description="websocket or realtime")]


class _Received(msgspec.Struct):
    transport: str


@action("rollout-set", OfShare)
def rollout_set(on: Deployment, of: OfShare) -> str:
    """`migctl rollout set N`, which every process must confirm within its second. How soon who goes by the flag has moved."""
    to = {0: "websocket", 100: "realtime"}.get(of.percent)
    began, moved_ms = time.time(), None
    command = ["rollout", "set", str(of.percent), "--yes", "--reason", "a drill"]
    with subprocess.Popen(
        [sys.executable, "-m", "migctl", *command],
        env=on.environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as done:
        while to is not None and moved_ms is None and time.time() - began < of.moved_within_s:
            time.sleep(_POLL_S)
            moved_ms = 1000 * (time.time() - began) if not _elsewhere(on, to) else None
        try:
            printed, _ = done.communicate(timeout=COMMAND_S)
        except subprocess.TimeoutExpired:
            done.kill()
            raise NotReady(f"migctl {' '.join(command)}: not within {COMMAND_S:g} s") from None
    if done.returncode:
        raise NotReady(f"migctl {' '.join(command)}: {printed.decode('utf-8', 'replace')[-500:]}")
    if to is None:
        return ""
    return (
        f"all on {to} {moved_ms:,.0f} ms after it was typed" if moved_ms is not None else f"not all on {to}"
    )


@probe("subscribers-not-on", OfTransport)
def subscribers_not_on(on: Deployment, of: OfTransport) -> int:
    """How many of those that go by the flag (`whole`) received their last event over another transport than this."""
    return _elsewhere(on, of.transport)


def _elsewhere(on: Deployment, transport: str) -> int:
    last = [last_line(each.path) for each in on.subscribers.values() if each.kind == "whole"]
    return sum(not line or msgspec.json.decode(line, type=_Received).transport != transport for line in last)
