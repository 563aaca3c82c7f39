"""Assigned: the transport that a subscriber takes as its own, by what it is told and what it asks. Pure.

Servers may be behind one another, and what one of them says may be old. So an answer has a version, that of the flag set that gave
it; 0 is none: the environment, a mode, or a server that is blind said it. `up` is to Realtime, `down` to the WebSocket.

| it has    | and hears                        | version              | it takes it, and then holds                          |
|-----------|----------------------------------|----------------------|------------------------------------------------------|
| either    | the same                         | any                  | stays; the higher version                            |
| Realtime  | down                             | any, an old one too  | down; the higher version                             |
| WebSocket | up                               | as held, or higher   | up; that version                                     |
| WebSocket | up                               | lower                | stays: it is old                                     |
| WebSocket | up                               | 0                    | up; the version as before                            |
| braked    | up                               | higher               | up; that version, no brake                           |
| braked    | up                               | as held, or lower    | stays: who says it has not heard of the brake        |
| braked    | up, blind                        | 0                    | stays: who says it knows nothing yet                 |
| braked    | up, other than blind             | 0                    | up; as before: no flag was asked                     |
| either    | up, asked, which a socket tells  | any                  | stays: the socket's word is spread, an answer is not |
| either    | up, asked, with Realtime away    | any                  | stays: it is told, or asks again                     |

Braked is who was told `BRAKED`, until it hears of a higher version without it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from migctl.transports.protocol import TransportName

BRAKED = "BRAKED"
BLIND = "STALE"


class Answer(msgspec.Struct, frozen=True):
    """What a server says of this user. version: of the flag set, 0 for none. reason: as of flags; empty of an older server."""

    transport: Literal["websocket", "realtime"]
    version: int = 0
    reason: str = ""


class Held(msgspec.Struct, frozen=True):
    """What a subscriber goes by. version: the highest it heard. braked: only a higher one sends it up."""

    transport: TransportName
    version: int = 0
    braked: bool = False


def first(answer: Answer) -> Held:
    """Of the first answer there is."""
    return Held(answer.transport, answer.version, answer.reason == BRAKED)


def heard(held: Held, answer: Answer) -> Held:
    """What it goes by after an answer that it was sent, or asked for where nothing else sends it."""
    if answer.transport == "realtime" and held.transport == "websocket" and not _sends_up(held, answer):
        return held
    version = max(held.version, answer.version)
    braked = answer.reason == BRAKED or (held.braked and answer.version <= held.version)
    return Held(answer.transport, version, braked)


def asked(held: Held, answer: Answer, *, pushed: bool, away: bool) -> Held:
    """The same for an answer that it asked for. pushed: a socket sends it, in its turn. away: Realtime is, by that answer."""
    goes_up = answer.transport == "realtime" and held.transport == "websocket"
    return held if goes_up and (pushed or away) else heard(held, answer)


class Assigned:
    """What one subscriber goes by, over all its connections."""

    def __init__(self, answer: Answer) -> None:
        self.held = first(answer)

    @property
    def transport(self) -> TransportName:
        return self.held.transport

    def hear(self, answer: Answer) -> None:
        """A socket sent it."""
        self.held = heard(self.held, answer)

    def ask(self, answer: Answer, *, pushed: bool, away: bool) -> None:
        """It was asked for."""
        self.held = asked(self.held, answer, pushed=pushed, away=away)


def _sends_up(held: Held, answer: Answer) -> bool:
    if answer.version == 0:
        return not (held.braked and answer.reason == BLIND)
    return answer.version > held.version if held.braked else answer.version >= held.version
