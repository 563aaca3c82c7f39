"""Gateway's address, as its subscribers use it: opens v2 sockets, reads their hello, and says in words what went wrong."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from migctl import clock
from migctl.errors import MigctlError, Systemic, TokenRefused, Transient, Usage
from migctl.events import Position
from migctl.redaction import beginning
from migctl.resilience import RequestTimeout, staggered
from migctl.subscriber.core.server_clock import ServerClock
from migctl.subscriber.gateway.frames import Frame, Hello, read_frame, read_hello
from migctl.subscriber.watching import Left
from migctl.transports.dialing import Followed
from migctl.transports.wire import ASK, MAX_FRAME_BYTES

# How long a socket may take until its hello.
OPEN_S = 5.0
# After so long another one is tried beside it; longer where it takes longer here.
LEAST_OPEN_S = 1.5
CLOSE_S = 1.0

CLOSED_UNAUTHORIZED = 4401
GIVE_TOKEN = "set MIGCTL_TOKEN to a token with purpose subscribe; in a program of yours: token=..."

# What a socket raises when it can't be opened or ends: `unreachable` makes an error of ours of each.
LOST = (OSError, TimeoutError, WebSocketException)


class Address:
    """url: of the gateway's `/ws`. token: for a gateway that asks for one. clock: its clock, by each hello.

    Raises Usage for what is no address.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = _checked(url)
        self._token = token
        self.clock = ServerClock()
        self._opening = RequestTimeout(LEAST_OPEN_S, LEAST_OPEN_S, OPEN_S)

    @contextlib.asynccontextmanager
    async def open(
        self,
        *,
        position: Position | None = None,
        role: Literal["standby"] | None = None,
        claims: Mapping[str, str] = MappingProxyType({}),
    ) -> AsyncIterator[tuple[ClientConnection, Hello, float]]:
        """A v2 socket, what it said first, and how many seconds that took. claims: whom it is for, and what it goes by.

        Raises what LOST names, and Usage for what is no hello.
        """
        began = clock.mono()

        async def attempt() -> tuple[ClientConnection, Hello]:
            asked = clock.now()
            socket = await self._connect(position, role, claims)
            try:
                hello = self._hello(await socket.recv(decode=False))
                if hello.at is not None:
                    self.clock.answered(asked, hello.at, clock.now())
                return socket, hello
            except BaseException:
                socket.transport.abort()
                raise

        socket, hello = await staggered(
            attempt,
            apart_s=self._opening.seconds(),
            most_s=OPEN_S,
            drop=lambda late: late[0].transport.abort(),
        )
        took_s = clock.mono() - began
        self._opening.answered(took_s)
        try:
            yield socket, hello, took_s
        except Left:
            socket.transport.abort()
            raise
        finally:
            await socket.close()

    async def _connect(
        self, position: Position | None, role: str | None, claims: Mapping[str, str]
    ) -> ClientConnection:
        query = {"v": "2", **claims}
        if position is not None and position.epoch:
            query |= {"epoch": position.epoch, "after": str(position.seq)}
        if role is not None:
            query["role"] = role
        parts = urlsplit(self.url)
        address = urlunsplit(parts._replace(query=urlencode(parse_qsl(parts.query) + list(query.items()))))
        return await Followed(
            address,
            additional_headers={"Authorization": f"Bearer {self._token}"} if self._token else None,
            open_timeout=None,
            close_timeout=CLOSE_S,
            max_size=MAX_FRAME_BYTES,
            compression=None,
            ping_interval=None,  # the gateway's heartbeat says more: that it still follows the journal
        )

    def _hello(self, text: bytes) -> Hello:
        """The first frame of a socket. Raises Usage where it is no hello."""
        hello = read_hello(text)
        if hello is None or hello.v != 2:
            raise Usage(
                f"{self.url}: what answers there does not speak v2 of migctl's protocol",
                do="give the address of the gateway that `migctl serve` opens, such as ws://127.0.0.1:8080/ws",
            )
        return hello

    async def ask(self, socket: ClientConnection) -> None:
        """Ask for a heartbeat now. What is wrong with the socket shows where it is read."""
        with contextlib.suppress(*LOST):
            await socket.send(ASK, text=True)

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
            async with self.open(role="standby") as (_, hello, _):
                pass
        except LOST as error:
            raise self.unreachable(error) from error
        return Position(hello.epoch, hello.head)

    def unreachable(self, error: Exception, *, met: bool = False) -> MigctlError:
        """What to say of an error of a socket.

        met: the gateway has answered before, so that a wrong answer is a proxy's, whose server is about to come back.
        """
        what = f"{self.url}: the gateway can't be reached: {_words(error)}"
        if isinstance(error, ConnectionClosed):
            code = error.rcvd.code if error.rcvd is not None else 1006
            what = f"{self.url}: the gateway closed the socket: {_words(error)}"
            if code == CLOSED_UNAUTHORIZED:
                return TokenRefused(what, do=GIVE_TOKEN)
        elif isinstance(error, InvalidStatus):
            status = error.response.status_code
            if status == 410:
                return Systemic(what, do="the WebSocket was switched off; capture --transport realtime")
            if status in (401, 403):
                return TokenRefused(what, do=GIVE_TOKEN)
            if status == 429:
                return Transient(
                    what, do="give a token that is good for subscribing, or wait until it is over"
                )
            if not met and (status in (400, 404, 426) or status < 400):
                return Usage(what, do="give the address of `migctl serve`, such as ws://127.0.0.1:8080/ws")
        elif isinstance(error, InvalidURI):
            return Usage(what, do="give the address of `migctl serve`, such as ws://127.0.0.1:8080/ws")
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
        return f"HTTP {error.response.status_code} {' '.join(beginning(body, 200).split())}".strip()
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    return str(error) or type(error).__name__
