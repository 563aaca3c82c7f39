"""Users move from one transport to the other: `migctl rollout set|abort|complete`, and over which transport subscribers receive."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import Annotated, Literal

import msgspec
import yaml
from pydantic import Field

from migctl.config.assets import config_file
from migctl.drills.availability import Transport
from migctl.drills.document import Section
from migctl.drills.functions.registry import Armed, Nothing, action, fault, probe
from migctl.drills.world.deployment import Deployment
from migctl.drills.world.legacy import first_event
from migctl.drills.world.operator import ended, rollout, typed
from migctl.drills.world.tail import last_line

_ANSWER_S = 5.0
_POLL_S = 0.05
_LAST = "2c-deprecate"


class OfShare(Section):
    percent: Annotated[Literal[0, 25, 50, 75, 100], Field(description="0, 25, 50, 75 or 100")]
    moved_within_s: Annotated[
        float, Field(ge=0, description="seconds that are waited for subscribers to come, for 0 and 100 %")
    ] = 10.0


class OfTakeBack(Section):
    by: Annotated[Literal["set", "abort"], Field(description="set (to 0) or abort")] = "set"
    moved_within_s: Annotated[
        float, Field(ge=0, description="seconds that are waited for subscribers to come")
    ] = 10.0


class OfEvent(Section):
    within_s: Annotated[float, Field(gt=0, description="seconds, above 0")] = 10.0


class OfTransport(Section):
    transport: Annotated[Literal["websocket", "realtime"], Field(description="websocket or realtime")]


class OfComplete(Section):
    accept_lost: Annotated[
        int,
        Field(
            ge=0, description="subscribers of the WebSocket that are given up; first it is refused for them"
        ),
    ] = 0


class _Received(msgspec.Struct):
    transport: str


@action("rollout-set", OfShare)
def rollout_set(on: Deployment, of: OfShare) -> str:
    """`migctl rollout set N`, which every process must confirm within its second. How soon who goes by the flag has moved."""
    to: Transport | None = "websocket" if of.percent == 0 else "realtime" if of.percent == 100 else None
    words = ("set", str(of.percent), "--yes", "--reason", on.reason)
    return _moved(on, words, to, of.moved_within_s)


@fault("take-back", OfTakeBack)
def take_back(on: Deployment, of: OfTakeBack) -> Armed:
    """`migctl rollout set 0`, or `abort`: all that go by the flag are taken back to the WebSocket, for good."""
    words = ("abort",) if of.by == "abort" else ("set", "0", "--yes")
    detail = _moved(on, (*words, "--reason", on.reason), "websocket", of.moved_within_s)
    return Armed(lambda: None, f"rollout {' '.join(words[:2])}: {detail}", to="websocket")


@fault("rollout-complete", OfComplete)
def rollout_complete(on: Deployment, of: OfComplete) -> Armed:
    """`migctl rollout complete` without a time of ramp-down: the WebSocket is switched off. Lifted by `migctl rollout revert`."""
    stage = yaml.safe_load(config_file(f"stages/{_LAST}.yaml").read_text("utf-8"))
    path = on.folder / "configs" / "stages" / f"{_LAST}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({**stage, "rampdown_minutes": 0, "drain_minutes": 0}), "utf-8")
    command = ["complete", "--force", "--confirm", on.environ()["SUPABASE_URL"], "--reason", on.reason]
    if of.accept_lost:
        rollout(on, *command, code=1)  # who is on the WebSocket holds it back
        command += ["--accept-lost", str(of.accept_lost)]
    rollout(on, *command)
    given_up = f", after it was refused for {of.accept_lost} on the WebSocket" if of.accept_lost else ""
    back = ("revert", "--reason", on.reason)
    return Armed(lambda: rollout(on, *back), f"switched off{given_up}", to="realtime")


@probe("websocket-status", Nothing)
def websocket_status(on: Deployment, _: Nothing) -> int | None:
    """What `/ws` answers without an upgrade: 400 while it is open, 410 once it is switched off; None while serve is away."""
    try:
        with urllib.request.urlopen(f"{on.url}/ws", timeout=_ANSWER_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


@probe("websocket-event", OfEvent)
def websocket_event(on: Deployment, of: OfEvent) -> bool:
    """Whether a dashboard of today that connects to `/ws` now receives an event there."""
    return first_event(f"{on.url.replace('http', 'ws', 1)}/ws", of.within_s)


@probe("subscribers-not-on", OfTransport)
def subscribers_not_on(on: Deployment, of: OfTransport) -> int:
    """How many of those that go by the flag (`whole`) received their last event over another transport than this."""
    return _elsewhere(on, of.transport)


def _elsewhere(on: Deployment, transport: str) -> int:
    last = [last_line(each.path) for each in on.subscribers.values() if each.kind == "whole"]
    return sum(not line or msgspec.json.decode(line, type=_Received).transport != transport for line in last)


def _moved(on: Deployment, words: tuple[str, ...], to: Transport | None, within_s: float) -> str:
    """Types it, and waits until all that go by the flag have moved, as their files show. When that was."""
    began, moved_ms = time.time(), None
    with typed(on, *words) as command:
        while to is not None and moved_ms is None and time.time() - began < within_s:
            time.sleep(_POLL_S)
            moved_ms = 1000 * (time.time() - began) if not _elsewhere(on, to) else None
        ended(command, f"migctl rollout {' '.join(words)}")
    if to is None:
        return ""
    return (
        f"all on {to} {moved_ms:,.0f} ms after it was typed" if moved_ms is not None else f"not all on {to}"
    )
