"""Users move from one transport to the other: `migctl rollout set`, and over which transport subscribers receive."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Annotated, Literal

import msgspec
import yaml
from pydantic import Field

from migctl.config.assets import folder
from migctl.drills.document import Section
from migctl.drills.functions.registry import Armed, Nothing, action, fault, probe
from migctl.drills.world.deployment import Deployment, NotReady
from migctl.drills.world.tail import last_line

COMMAND_S = 60.0
_ANSWER_S = 5.0
_POLL_S = 0.05
_LAST = "2c-deprecate"


class OfShare(Section):
    percent: Annotated[Literal[0, 25, 50, 75, 100], Field(description="0, 25, 50, 75 or 100")]
    moved_within_s: Annotated[
        float, Field(ge=0, description="seconds that are waited for subscribers to come, for 0 and 100 %")
    ] = 10.0


class OfTransport(Section):
    transport: Annotated[Literal["websocket", "realtime"], Field(description="websocket or realtime")]


class OfComplete(Section):
    accept_lost: Annotated[
        int,
        Field(
            ge=0, description="subscribers of the WebSocket that are given up; first it is refused for them"
        ),
    ] = 0


class _Status(msgspec.Struct):
    target: str


class _Received(msgspec.Struct):
    transport: str


@action("rollout-set", OfShare)
def rollout_set(on: Deployment, of: OfShare) -> str:
    """`migctl rollout set N`, which every process must confirm within its second. How soon who goes by the flag has moved."""
    to = {0: "websocket", 100: "realtime"}.get(of.percent)
    began, moved_ms = time.time(), None
    with _begun(on, "set", str(of.percent), "--yes", "--reason", "a drill") as command:
        while to is not None and moved_ms is None and time.time() - began < of.moved_within_s:
            time.sleep(_POLL_S)
            moved_ms = 1000 * (time.time() - began) if not _elsewhere(on, to) else None
        _ended(command, 0)
    if to is None:
        return ""
    return (
        f"all on {to} {moved_ms:,.0f} ms after it was typed" if moved_ms is not None else f"not all on {to}"
    )


@fault("rollout-complete", OfComplete)
def rollout_complete(on: Deployment, of: OfComplete) -> Armed:
    """`migctl rollout complete` without a time of ramp-down: the WebSocket is switched off. Lifted by `migctl rollout revert`."""
    stage = yaml.safe_load((folder("configs") / "stages" / f"{_LAST}.yaml").read_text("utf-8"))
    path = on.folder / "configs" / "stages" / f"{_LAST}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({**stage, "rampdown_minutes": 0, "drain_minutes": 0}), "utf-8")
    target = msgspec.json.decode(_rollout(on, "status", "--output", "json"), type=_Status).target
    command = ["complete", "--force", "--confirm", target, "--reason", "a drill"]
    if of.accept_lost:
        _rollout(on, *command, code=1)  # who is on the WebSocket holds it back
        command += ["--accept-lost", str(of.accept_lost)]
    _rollout(on, *command)
    given_up = f", after it was refused for {of.accept_lost} on the WebSocket" if of.accept_lost else ""
    return Armed(lambda: _rollout(on, "revert", "--reason", "a drill"), f"switched off{given_up}")


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


@probe("subscribers-not-on", OfTransport)
def subscribers_not_on(on: Deployment, of: OfTransport) -> int:
    """How many of those that go by the flag (`whole`) received their last event over another transport than this."""
    return _elsewhere(on, of.transport)


def _elsewhere(on: Deployment, transport: str) -> int:
    last = [last_line(each.path) for each in on.subscribers.values() if each.kind == "whole"]
    return sum(not line or msgspec.json.decode(line, type=_Received).transport != transport for line in last)


def _begun(on: Deployment, *words: str) -> subprocess.Popen[bytes]:
    """`migctl rollout` on a machine of the drill's: its folder, its settings."""
    return subprocess.Popen(
        [sys.executable, "-m", "migctl", "rollout", *words],
        env=on.environ(),
        cwd=on.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _ended(command: subprocess.Popen[bytes], code: int) -> bytes:
    """What it printed. Raises NotReady where it ends otherwise than with this code, or not at all."""
    words = " ".join(map(str, command.args[2:])) if isinstance(command.args, list) else ""
    try:
        out, errors = command.communicate(timeout=COMMAND_S)
    except subprocess.TimeoutExpired:
        command.kill()
        raise NotReady(f"{words}: not within {COMMAND_S:g} s") from None
    if command.returncode != code:
        printed = (out + errors).decode("utf-8", "replace")[-500:]
        raise NotReady(f"{words}: exit code {command.returncode}, expected {code}: {printed}")
    return out


def _rollout(on: Deployment, *words: str, code: int = 0) -> bytes:
    with _begun(on, *words) as command:
        return _ended(command, code)
