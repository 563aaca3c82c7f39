"""Events out of the ordinary in the stream: such as no table takes, large ones, and one that is refused at the door.

What is taken is written to what was acknowledged, as a producer does it: it is judged like any other event.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import Annotated
from uuid import uuid4

import msgspec
from pydantic import Field

from migctl.drills.document import Section
from migctl.drills.functions.registry import Armed, Nothing, fault, probe
from migctl.drills.world.deployment import Deployment, NotReady
from migctl.drills.world.producer import Acknowledged, Posted
from migctl.redaction import beginning

TAKEN = 201
_ANSWER_S = 10.0
# A text that is valid JSON, and that PostgreSQL's jsonb refuses (22P05).
_NO_JSONB = "\x00"


class OfCount(Section):
    count: Annotated[int, Field(ge=1, description="events, at least 1")] = 3


class OfSize(Section):
    bytes: Annotated[int, Field(ge=100, description="bytes of the event's data, at least 100")]


class OfLarge(OfSize, OfCount):
    """So many, of that size."""


@fault("poison", OfCount)
def poison(on: Deployment, of: OfCount) -> Armed:
    """Events that the table refuses come between the others. What is published stays published."""
    for _ in range(of.count):
        publish(on, _made("poison", _NO_JSONB))
    return Armed(lambda: None, f"{of.count} events that no jsonb column takes")


@fault("large-events", OfLarge)
def large_events(on: Deployment, of: OfLarge) -> Armed:
    """Events of a size come between the others. What is published stays published."""
    for _ in range(of.count):
        publish(on, sized(of.bytes))
    return Armed(lambda: None, f"{of.count} events of {of.bytes:,} bytes")


@probe("answer-to-size", OfSize)
def answer_to_size(on: Deployment, of: OfSize) -> int:
    """The status that an event of this size is answered with: 201 where it is taken."""
    return post(on, sized(of.bytes))[0]


@probe("tombstones", Nothing)
def tombstones(on: Deployment, _: Nothing) -> int | None:
    """Events that were set aside because the table refused them; None while serve is away."""
    status = on.status()
    return sum(status.relay.tombstones.values()) if status is not None and status.relay is not None else None


def sized(size: int) -> Posted:
    """An event whose data is JSON of exactly `size` bytes; size: at least 100."""
    frame = len(msgspec.json.encode(_made("large", "").data))
    return _made("large", "x" * (size - frame))


def _made(event_type: str, text: str) -> Posted:
    event_id = str(uuid4())
    return Posted(event_id, event_type, "drill", {"event": event_id, "text": text})


def publish(on: Deployment, event: Posted) -> None:
    """Post it, and write it down. Raises NotReady where it is not taken."""
    status, answer = post(on, event)
    if status != TAKEN:
        raise NotReady(f"event {event.id} was answered {status}: {beginning(str(answer), 200)}")


def post(on: Deployment, event: Posted) -> tuple[int, str]:
    """Its status and answer. Raises NotReady where there is none."""
    request = urllib.request.Request(  # noqa: S310: our own serve
        f"{on.url}/events", msgspec.json.encode([event]), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError as error:
        raise NotReady(f"event {event.id} was not answered: {error}") from None
    if status == TAKEN:
        with on.acknowledged.open("ab") as out:
            out.write(msgspec.json.encode(Acknowledged([event.id], 1, time.time())) + b"\n")
    return status, text
