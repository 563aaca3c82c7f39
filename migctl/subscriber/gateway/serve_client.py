"""ServeClient: what a subscriber asks of `migctl serve` over HTTP: its assignment, whether it is ready, and events it missed."""

from __future__ import annotations

from typing import Literal
from uuid import uuid4

import msgspec

from migctl import clock
from migctl.config.modes import LiveWay
from migctl.errors import TokenRefused, Transient, Usage
from migctl.events import Position
from migctl.events.arrived import Arrived
from migctl.events.jsontext import split_array, split_object, typed
from migctl.serve_client import ServeHttp
from migctl.subscriber.core.assigned import Answer
from migctl.subscriber.core.attachment import HOLD_S
from migctl.subscriber.core.release import Release
from migctl.subscriber.gateway.client import GIVE_TOKEN
from migctl.subscriber.gateway.frames import read_frame
from migctl.target.schema import schema_of

TIMEOUT_S = 3.0
PAGE_EVENTS = 1000


class Page(msgspec.Struct, frozen=True):
    """Events in a row; a short page proves nothing, an empty one is the end. head: how far the journal was when it was answered."""

    events: list[Release]
    head: Position


class _Far(msgspec.Struct):
    epoch: str
    head: int


_far = msgspec.json.Decoder(_Far)


class Fallback(msgspec.Struct, frozen=True):
    """What the server's settings say of falling back; what an older server does not say are its defaults."""

    hold_seconds: float = HOLD_S
    to_realtime: bool = True
    max_spread_s: float = 10.0


class Project(msgspec.Struct, frozen=True):
    """What a reader has to know of the Supabase project. live: what brings the events."""

    url: str
    anon_key: str
    schema: str
    live: LiveWay


class Assignment(msgspec.Struct, frozen=True):
    """The answer of `GET /api/transport`. access_token: None where the server can't mint one.

    assigned: what lasts; an older server only says `transport`. version, reason: of `assigned`.
    """

    transport: Literal["websocket", "realtime"]
    epoch: str
    assigned: Literal["websocket", "realtime"] | None = None
    version: int = 0
    reason: str = ""
    supabase_url: str | None = None
    anon_key: str | None = None
    channel: str | None = None
    live: LiveWay | None = None
    access_token: str | None = None
    expires_at: str | None = None
    fallback: Fallback = Fallback()

    @property
    def lasting(self) -> Literal["websocket", "realtime"]:
        """What the flag says. `transport` may be another while a breaker is open; of that, and of its end, the gateway tells."""
        return self.assigned or self.transport

    @property
    def answer(self) -> Answer:
        """What the flag says, with its version."""
        return Answer(self.lasting, self.version, self.reason)

    @property
    def away(self) -> bool:
        """Realtime is assigned, and a breaker of it is open."""
        return self.transport != self.lasting

    @property
    def project(self) -> Project | None:
        """None where the server's mode has none, or does not know all of it."""
        if not self.supabase_url or not self.anon_key:
            return None
        url, schema = self.supabase_url.rstrip("/"), schema_of(self.channel)
        return Project(url, self.anon_key, schema, self.live or "broadcast")


class ServeClient:
    """url: where `migctl serve` listens, such as http://127.0.0.1:8080. token: for a server that asks for one.

    user: whom the assignment is for; None is somebody new, who stays the same for the life of this object.
    """

    def __init__(self, url: str, *, user: str | None = None, token: str | None = None) -> None:
        self._http = ServeHttp(url, token=token, timeout_s=TIMEOUT_S)
        self.url = self._http.url
        self.user = user or f"anonymous-{uuid4()}"

    @property
    def ws_url(self) -> str:
        return f"ws{self.url.removeprefix('http')}/ws"

    @property
    def claims(self) -> dict[str, str]:
        """What a socket says of whom it is for; one that names its user is sent each new assignment."""
        return {"user": self.user}

    async def aclose(self) -> None:
        await self._http.aclose()

    async def assignment(self) -> Assignment:
        """Raises Transient, TokenRefused, or Usage where something else answers there."""
        answer = await self._http.get("/api/transport", {"user": self.user})
        if answer.status in (401, 403):
            raise TokenRefused(f"{self.url}: {answer.words()}", do=GIVE_TOKEN)
        if answer.status >= 500:
            raise Transient(f"{self.url}: {answer.words()}", do="see what `migctl serve` says")
        try:
            if answer.status != 200:
                raise ValueError(answer.words())
            return answer.decode(Assignment)
        except ValueError as error:
            raise Usage(
                f"{self.url}: what answers there assigns no transport: {error}",
                do="give the address of `migctl serve`, such as http://127.0.0.1:8080",
            ) from None

    async def check_ready(self) -> None:
        """Raises Transient where the server does not serve."""
        answer = await self._http.get("/readyz")
        if answer.status != 200:
            raise Transient(f"{self.url}: {answer.words()}", do="nothing: it is tried again")

    async def events(self, after: Position) -> Page | None:
        """The next events after a position. None where the journal has them no longer.

        Raises Transient.
        """
        query = {"epoch": after.epoch, "after": str(after.seq), "limit": str(PAGE_EVENTS)}
        answer = await self._http.get("/events", query)
        arrived = Arrived(clock.now(), clock.mono_ns())
        if answer.status == 410:
            return None
        try:
            if answer.status != 200:
                raise ValueError(answer.words())
            far = typed(_far, answer.content)
            texts = split_array(split_object(answer.content)["events"])
            events = [read_frame(text).release(after.epoch, "resume", arrived) for text in texts]
            return Page(events, Position(far.epoch, far.head))
        except (ValueError, KeyError, msgspec.MsgspecError) as error:
            raise Transient(f"{self.url}/events: {error}", do="nothing: the tables are asked") from None
