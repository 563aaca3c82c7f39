"""Turn: the worker's side. It has what it needs in memory, waits for its turn, and then is a `serve` on sockets that it was given.

It holds nothing else while it waits: no lock, no journal, no port of its own.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

import msgspec

from migctl.events.jsontext import read_as
from migctl.status import SupervisionStatus
from migctl.supervision.heart import Heart

WARM = "WARM=1"


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent says when it is a worker's turn. silence_s: it is killed after."""

    silence_s: float
    supervision: SupervisionStatus


@dataclass(frozen=True, slots=True)
class Inherited:
    """parent: where we hear and are heard. listening: the sockets that the parent keeps."""

    parent: socket.socket
    listening: tuple[socket.socket, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """With what a worker begins."""

    heart: Heart
    listening: tuple[socket.socket, ...]
    supervision: SupervisionStatus


def inherit(descriptors: str) -> Inherited:
    """descriptors: `PARENT,LISTENING...`, as numbers. What we start gets none of them. Raises ValueError, OSError."""
    numbers = [int(each) for each in descriptors.split(",")]
    for number in numbers:
        os.set_inheritable(number, False)
    parent, *listening = (socket.socket(fileno=number) for number in numbers)
    return Inherited(parent, tuple(listening))


def await_turn(of: Inherited) -> Given | None:
    """Say that we are warm, and wait. None where the parent is gone, or wants us no longer."""
    of.parent.setblocking(True)
    try:
        of.parent.send(WARM.encode())
        message = of.parent.recv(1 << 16)
    except OSError:
        return None
    if not message:
        return None
    turn = read_as(message, Turn)
    return Given(Heart(of.parent, turn.silence_s), of.listening, turn.supervision)
