"""Sockets: those that are open, from the handshake to the last byte, and those that ended, by close code.

Nobody is counted twice and nobody is forgotten: a socket is known from the moment it is accepted until it has ended, whoever
serves it.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import ClientConnectionResetError, web
from aiohttp.abc import AbstractStreamWriter

from migctl.clock import mono, now
from migctl.resilience import News
from migctl.status import GatewayStatus, TransportState, UpstreamStatus
from migctl.status.clients import ClientStatus
from migctl.telemetry import get_logger
from migctl.transports.websocket import frames
from migctl.transports.websocket.assigning import Assigning
from migctl.transports.websocket.leavers import Leavers
from migctl.transports.websocket.resume import NO_WISH, Wish
from migctl.transports.websocket.session import Form, Session
from migctl.transports.websocket.upstream import TOKEN_NAME

# What clients say is commands of the old protocol at most; more than this closes the socket.
MAX_CLIENT_BYTES = 1 << 20
_OFFER = "Sec-Websocket-Protocol"

log = get_logger("gateway")


@dataclass(frozen=True, slots=True)
class Counted:
    """Open sockets, each once: attached, as a subscriber of a form or as a standby; or closing, by its code."""

    attached: list[Session]
    forms: Counter[Form]
    standby: int
    closing: Counter[int]
    max_queued_bytes: int


def counted(sessions: Iterable[Session]) -> Counted:
    """A socket that is closing is no subscriber any more, and what waits in its queue still takes room."""
    every = list(sessions)
    attached = [session for session in every if session.close_code is None]
    return Counted(
        attached=attached,
        forms=Counter(session.form for session in attached if not session.standby),
        standby=sum(session.standby for session in attached),
        closing=Counter(code for session in every if (code := session.close_code) is not None),
        max_queued_bytes=max((session.queued_bytes for session in every), default=0),
    )


class Sockets:
    """max_queue_bytes: what may wait in one subscriber's queue. grace_s: how long a goodbye may take."""

    def __init__(self, *, max_queue_bytes: int, grace_s: float) -> None:
        self._max_queue_bytes = max_queue_bytes
        self._grace_s = grace_s
        self._open: set[Session] = set()
        self._closed_by_code: Counter[int] = Counter()
        self._news = News()
        self.left = Leavers(now())
        self.draining = False

    def follow(self, *, max_queue_bytes: int, grace_s: float) -> None:
        """By these from now on, also those that are open."""
        self._max_queue_bytes, self._grace_s = max_queue_bytes, grace_s
        for session in self._open:
            session.max_queue_bytes = max_queue_bytes

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Session]:
        """A copy: who is sent something may leave by it."""
        return iter(tuple(self._open))

    def of(self, form: Form) -> list[Session]:
        return [session for session in self._open if session.form == form]

    def with_token(self, names: Collection[str]) -> list[Session]:
        return [session for session in self._open if session.token in names]

    def wake(self) -> None:
        """Something else has changed that `change` is awaited for."""
        self._news.wake()

    async def change(self) -> None:
        """Return once a socket has ended, or somebody woke us."""
        await self._news.wait()

    @contextlib.asynccontextmanager
    async def admitted(
        self,
        request: web.Request,
        form: Form,
        protocols: Iterable[str],
        *,
        wish: Wish = NO_WISH,
        max_client_bytes: int = MAX_CLIENT_BYTES,
    ) -> AsyncIterator[tuple[web.WebSocketResponse, Session, AbstractStreamWriter]]:
        """An open socket, its session and its writer. While draining it is closed with 1012 as it comes.

        wish: of a v2 client.
        """
        socket = web.WebSocketResponse(
            protocols=tuple(protocols),
            compress=False,
            # Control frames are answered by the gateway: every frame of the socket is written by its Session.
            autoping=False,
            autoclose=False,
            max_msg_size=max_client_bytes,
            timeout=2.0,
        )
        writer = await socket.prepare(_with_one_offer(request))
        transport = request.transport
        if transport is None:
            raise ClientConnectionResetError("gone between its request and our answer")
        session = Session(
            transport,
            form=form,
            standby=wish.role == "standby",
            peer=request.remote or "unknown",
            max_queue_bytes=self._max_queue_bytes,
            heard_at=mono(),
            user=wish.user,
            notified=wish.assigned,
            fallback=wish.fallback,
            token=request.get(TOKEN_NAME),
            witness=wish.witness,
        )
        if self.draining:
            session.close(frames.DRAINING, "draining", grace_s=self._grace_s)
        self._open.add(session)
        try:
            yield socket, session, writer
        finally:
            self._open.discard(session)
            self.left.add(_client(session, session.position, mono(), connected=False))
            code = session.close_code or frames.ABNORMAL
            self._closed_by_code[code] += 1
            self._news.wake()
            session.finish(grace_s=self._grace_s)
            log.info("subscriber left", peer=session.peer, form=form, code=code)

    def clients(self, position: Callable[[Session], str | None]) -> list[ClientStatus]:
        """Who is here, and who left, as far as that is remembered. position: of one that is here."""
        at = mono()
        here = [_client(session, position(session), at, connected=True) for session in self._open]
        return [*here, *self.left.all()]

    def status(
        self,
        state: TransportState,
        reason: str | None,
        *,
        live: int,
        delivered_seq: int,
        behind_events: int,
        frames_written: int,
        upstream: UpstreamStatus | None,
        assigning: Assigning | None,
    ) -> GatewayStatus:
        """Who is attached, and what the gateway says besides. live: how many of ours are at the live edge.

        assigning: None where nobody is sent anywhere.
        """
        here = counted(self._open)
        return GatewayStatus(
            state=state,
            reason=reason,
            subscribers=here.forms.total(),
            subscribers_v2=here.forms["v2"],
            subscribers_legacy=here.forms["legacy"],
            subscribers_piped=here.forms["piped"],
            standby=here.standby,
            catching_up=here.forms["v2"] + here.forms["legacy"] - live,
            max_queued_bytes=here.max_queued_bytes,
            closing_by_code=dict(here.closing),
            closed_by_code=dict(self._closed_by_code),
            delivered_seq=delivered_seq,
            behind_events=behind_events,
            frames_written=frames_written,
            upstream=upstream,
            moves=assigning.count(here.attached) if assigning is not None else None,
        )


def _with_one_offer(request: web.Request) -> web.Request:
    """A client may offer its subprotocols in several headers, of which aiohttp reads the first."""
    offers = request.headers.getall(_OFFER, [])
    if len(offers) < 2:
        return request
    others = [(name, value) for name, value in request.headers.items() if name.title() != _OFFER]
    return request.clone(headers=[*others, (_OFFER, ", ".join(offers))])


def _client(session: Session, position: str | None, at: float, *, connected: bool) -> ClientStatus:
    """at: monotonic, now. Of one that leaves the end of its socket is the last that was heard of it."""
    moment = now()
    silent_s = at - session.heard_at if connected else 0.0
    return ClientStatus(
        transport="standby" if session.standby else "websocket",
        protocol=session.form,
        user=session.user,
        remote=session.peer,
        token=session.token,
        since=moment - timedelta(seconds=at - session.since),
        last_seen=moment - timedelta(seconds=silent_s),
        connected=connected,
        position=position,
        witness=session.witness,
    )
