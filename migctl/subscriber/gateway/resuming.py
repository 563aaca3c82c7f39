"""Resuming: what a stream makes of a hello, and of the seq of each frame after it. Pure.

`begin`: a stream stands at its top, else at the position that was wanted. Alone it has nobody beside it who reads tables.

| it stands        | the gateway         | with tables beside it  | alone                                                  |
|------------------|---------------------|------------------------|--------------------------------------------------------|
| nowhere          | any answer          | start at the head      | start at the head                                      |
| somewhere        | recovered           | -                      | -                                                      |
| ahead of it      | can't resume, ahead | - (tables fill it)     | on after the head                                      |
| below its tail   | can't resume        | - (tables fill it)     | lost up to the tail; anew, unless that is the head     |
| in another epoch | can't resume        | - (tables fill it)     | on before the tail, there; anew, unless it is the head |

The socket is kept but where it says anew: a new one, at that position, brings what lies between tail and head.

`accept`, for a frame with a seq:

| the seq is          | with tables beside it | alone |
|---------------------|-----------------------|-------|
| at or below the top | take                  | take  |
| the next            | take                  | take  |
| further on          | take                  | hole  |

What is taken at or below the top is a repeat, and Merge drops it. With tables beside it a hole waits for them. Alone it is the
gateway's mistake, and nobody but the gateway can fill it: with a new socket, that resumes at the top.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from migctl.events import Position
from migctl.subscriber.gateway.frames import Hello


class Begin(msgspec.Struct, frozen=True):
    """What is to be done, in this order.

    start: begin the flow there. lose_to, go_to: declare what is not coming, in this epoch or into another; with `reason`.
    keep: False where a new socket, at another position, would bring more than this one.
    """

    start: Position | None = None
    lose_to: int | None = None
    go_to: Position | None = None
    reason: str = ""
    keep: bool = True


def begin(hello: Hello, *, top: Position | None, wanted: Position | None, alone: bool) -> Begin:
    """top: of Merge, None before it was started. wanted: where it is to start; None, or without an epoch, is at the head."""
    here = Position(hello.epoch, hello.head)
    start = None
    if top is None:
        if wanted is None or not wanted.epoch:
            return Begin(start=here)
        top = start = wanted
    if hello.resume == "recovered" or not alone:
        return Begin(start=start)
    resumed = here if hello.reason == "ahead" else Position(hello.epoch, max(0, hello.tail - 1))
    if resumed.epoch == top.epoch and resumed.seq > top.seq:
        return Begin(start, lose_to=resumed.seq, reason=hello.reason or "trimmed", keep=resumed == here)
    return Begin(start, go_to=resumed, reason=hello.reason or "epoch", keep=resumed == here)


def accept(seq: int, *, top: Position | None, alone: bool) -> Literal["take", "hole"]:
    """top: of Merge. Before it was started, nothing is known to be missing."""
    return "hole" if alone and top is not None and seq > top.seq + 1 else "take"
