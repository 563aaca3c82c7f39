"""Client: what a channel needs of the socket that it is on, and what all sockets work with."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from migctl.stack.standin.auth import Tokens
from migctl.stack.standin.faults import Faults
from migctl.stack.standin.limits import Limits
from migctl.stack.standin.realtime.authorize import Authorizer
from migctl.stack.standin.realtime.changes import Changes
from migctl.stack.standin.realtime.frames import Message, Version
from migctl.stack.standin.realtime.hub import Hub
from migctl.stack.standin.realtime.messages import Messages
from migctl.stack.standin.realtime.presence import Presence


@dataclass(frozen=True, slots=True)
class Parts:
    """What sockets work with."""

    tokens: Tokens
    limits: Limits
    hub: Hub
    messages: Messages
    presence: Presence
    authorizer: Authorizer
    changes: Changes
    faults: Faults


class Joined(Protocol):
    """A channel, as its socket ends it."""

    @property
    def topic(self) -> str: ...

    @property
    def join_ref(self) -> str | None: ...

    def close(self) -> None: ...


class Client(Protocol):
    """A socket, as its channels use it. token: the JWT of its API key. headers: those that policies may read, as JSON."""

    @property
    def parts(self) -> Parts: ...

    @property
    def version(self) -> Version: ...

    @property
    def token(self) -> str: ...

    @property
    def headers(self) -> str: ...

    def write(self, frame: bytes) -> None:
        """Write a finished frame, or cut the client off when too much waits for it already."""
        ...

    def reply(self, message: Message, status: Literal["ok", "error"], response: bytes) -> None: ...

    def drop(self, channel: Joined) -> None:
        """Close a channel and let the client know."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Work that ends with the socket."""
        ...
