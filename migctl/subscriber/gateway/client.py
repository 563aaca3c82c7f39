"""Gateway's address, as its subscribers use it: opens v2 sockets, reads their hello, and says in words what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from migctl.config.address import is_local
from migctl.errors import MigctlError, Systemic, Transient, Usage
from migctl.events import Position
from migctl.subscriber.gateway.frames import Frame, Hello, read_frame, read_hello
from migctl.transports.wire import MAX_FRAME_BYTES

OPEN_S = 5.0
CLOSE_S = 1.0

CLOSED_UNAUTHORIZED = 4401

# What a socket raises when it can't be opened or ends: `unreachable` makes an error of ours of each.
LOST = (OSError, TimeoutError, WebSocketException)


class Address:
    """url: of the gateway's `/ws`. token: for a gateway that asks for one. Raises Usage for what is no address."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = _checked(url)
        self._token = token

    def open(
        self,
        *,
        position: Position | None = None,
        role: Literal["standby"] | None = None,
        claims: Mapping[str, str] = MappingProxyType({}),
    ) -> connect:
        """A v2 socket: a context manager that raises what LOST names. claims: whom it is for, and what it goes by."""
        query = {"v": "2", **claims}
        if position is not None and position.epoch:
            query |= {"epoch": position.epoch, "after": str(position.seq)}
        if role is not None:
            query["role"] = role
        parts = urlsplit(self.url)
        address = urlunsplit(parts._replace(query=urlencode(parse_qsl(parts.query) + list(query.items()))))
        return connect(
            address,
            additional_headers={"Authorization": f"Bearer {self._token}"} if self._token else None,
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
            max_size=MAX_FRAME_BYTES,
            compression=None,
            ping_interval=None,  # the gateway's heartbeat says more: that it still follows the journal
            proxy=None if is_local(self.url) else True,
        )

    async def hello(self, socket: ClientConnection) -> Hello:
        """The first frame of a socket. Raises Usage where it is no hello, and what LOST names."""
        async with asyncio.timeout(OPEN_S):
            text = await socket.recv(decode=False)
        hello = read_hello(text)
        if hello is None or hello.v != 2:
            raise Usage(
                f"{self.url}: what answers there does not speak v2 of migctl's protocol",
                do="give the address of the gateway that `migctl serve` opens, such as ws://127.0.0.1:8080/ws",
            )
        return hello

    def frame(self, text: bytes) -> Frame:
        """A frame after the hello. Raises Transient where it is none: with another socket it may be better."""
        try:
            return read_frame(text)
        except ValueError as error:
            raise Transient(
                f"{self.url}: the gateway sent what is no frame: {error}", do="nothing: it is tried again"
            ) from None

    async def head(self) -> Position:
        """Where the journal stands now, from the hello of a standby socket. Raises Transient, Systemic or Usage."""
        try:
            async with self.open(role="standby") as socket:
                hello = await self.hello(socket)
        except LOST as error:
            raise self.unreachable(error) from error
        return Position(hello.epoch, hello.head)

    def unreachable(
        self, error: Exception, *, met: bool = False, silence_s: float | None = None
    ) -> MigctlError:
        """What to say of an error of a socket.

        met: the gateway has answered before, so that a wrong answer is a proxy's, whose server is about to come back.
        silence_s: it was connected, and waited so long for a heartbeat.
        """
        what = f"{self.url}: the gateway can't be reached: {_words(error)}"
        if isinstance(error, ConnectionClosed):
            code = error.rcvd.code if error.rcvd is not None else 1006
            what = f"{self.url}: the gateway closed the socket: {_words(error)}"
            if code == CLOSED_UNAUTHORIZED:
                return Systemic(what, do="give a token that is good for subscribing")
        elif isinstance(error, InvalidStatus):
            status = error.response.status_code
            if status == 410:
                return Systemic(what, do="the WebSocket was switched off; capture --transport realtime")
            if status in (401, 403):
                return Systemic(what, do="give a token that is good for subscribing")
            if not met and (status in (400, 404, 426) or status < 400):
                return Usage(what, do="give the address of `migctl serve`, such as ws://127.0.0.1:8080/ws")
        elif isinstance(error, InvalidURI):
            return Usage(what, do="give the address of `migctl serve`, such as ws://127.0.0.1:8080/ws")
        elif isinstance(error, TimeoutError) and silence_s is not None:
            what = f"{self.url}: no heartbeat for {silence_s:g} s"
        return Transient(what, do="start it with `migctl serve`, or give its address with --url")


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise Usage(f"{url!r} is no address of a WebSocket", do="write ws://HOST:PORT/ws or wss://HOST/ws")
    return url


def _words(error: Any) -> str:
    if isinstance(error, InvalidStatus):
        body = (error.response.body or b"").decode("utf-8", "replace")
        return f"HTTP {error.response.status_code} {' '.join(body.split())[:200]}".strip()
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    return str(error) or type(error).__name__
