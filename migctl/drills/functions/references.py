"""References: large events that a subscriber of Realtime is only named, and reads from the table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from pydantic import Field

from migctl.drills.document import Kind
from migctl.drills.evidence import lines_of
from migctl.drills.functions.odd import OfSize
from migctl.drills.functions.registry import probe
from migctl.drills.world.deployment import Deployment, NotReady


class OfReleased(OfSize):
    kind: Annotated[Kind, Field(description="a kind of subscriber, such as realtime")] = "realtime"


class Released(msgspec.Struct):
    """Of a capture's line. via: live where a message itself had the event; else it was read, from the table or serve."""

    transport: str
    via: Literal["live", "resume", "table", "fetch"]
    data: msgspec.Raw


@probe("references-resolved", OfReleased)
def references_resolved(on: Deployment, of: OfReleased) -> int:
    """The fewest events of at least so many bytes that a subscriber of this kind read whole, since no message had them."""
    return min(read_whole(path, of.bytes) for path in _captures(on, of.kind))


@probe("sent-inline", OfReleased)
def sent_inline(on: Deployment, of: OfReleased) -> int:
    """The most events of at least so many bytes that came to a subscriber of this kind in a message of Realtime."""
    return max(inline(path, of.bytes) for path in _captures(on, of.kind))


def read_whole(capture: Path, size: int) -> int:
    """How many events with data of at least this size were read otherwise than from a live message."""
    return sum(one.via != "live" for one in _large(capture, size))


def inline(capture: Path, size: int) -> int:
    """How many events with data of at least this size a live message of Realtime had."""
    return sum((one.via, one.transport) == ("live", "realtime") for one in _large(capture, size))


def _large(capture: Path, size: int) -> Iterator[Released]:
    return (line for line in lines_of(capture, Released) if len(bytes(line.data)) >= size)


def _captures(on: Deployment, kind: Kind) -> list[Path]:
    """Of each subscriber of the kind. Raises NotReady where there is none."""
    found = [each.path for each in on.subscribers.values() if each.kind == kind]
    if not found:
        raise NotReady(f"the drill has no subscriber of kind {kind}")
    return found
