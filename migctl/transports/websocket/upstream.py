"""Upstream: the old service behind us, and how a socket to it is opened for a client: query, subprotocols and headers go along."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from migctl.redaction import redact
from migctl.telemetry import get_logger
from migctl.transports.dialing import Followed, Keeping
from migctl.transports.websocket import frames

OPEN_WITHIN_S = 10.0
CLOSE_WITHIN_S = 2.0
# A message of a client that the old service does not take by then ends the socket: who waits to write does not see a client go.
PASS_WITHIN_S = 10.0

# True on a request whose token is ours: the old service never sees it.
TOKEN_IS_OURS = web.RequestKey("token is ours", bool)
# Set by the guard: the name of the token that the request passed with.
TOKEN_NAME = web.RequestKey("token name", str)

_OWN_HEADERS = frozenset(
    ("host", "connection", "upgrade", "content-length", "transfer-encoding", "te", "trailer")
)

log = get_logger("gateway")


class Away(Exception):
    """The old service can't be reached."""


class Denied(Exception):
    """The old service answered, and gives no socket. of_client: to this client; else to nobody, it seems."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"the old service answered {status}")
        self.status = status
        self.body = body
        self.of_client = status in (401, 403)


class Upstream:
    """url: of the old service's socket. pass_within_s: how long it may take for a message of a client. keeping: how long silent."""

    def __init__(
        self, url: str, *, pass_within_s: float = PASS_WITHIN_S, keeping: Keeping | None = None
    ) -> None:
        self._url = url
        self._keeping = keeping or Keeping()
        self.pass_within_s = pass_within_s
        self.failures = 0
        self.reason: str | None = None

    @property
    def shown_url(self) -> str:
        parts = urlsplit(self._url)
        where = parts.netloc.rpartition("@")[2]  # a password before it is nobody's business
        return f"{parts.scheme}://{where}{parts.path}"

    async def open(self, request: web.Request, offered: list[str]) -> ClientConnection:
        """The connection for one client. Raises Away, Denied."""
        query = request.raw_path.partition("?")[
            2
        ]  # as it was written: decoded, it could be no address any more
        theirs = [Subprotocol(one) for one in offered if not one.startswith(frames.TOKEN_PREFIX)]
        url = f"{self._url}{'&' if '?' in self._url else '?'}{query}" if query else self._url
        try:
            old = await Followed(
                url,
                subprotocols=theirs or None,
                additional_headers=_headers(request),
                user_agent_header=None,
                compression=None,
                open_timeout=OPEN_WITHIN_S,
                close_timeout=CLOSE_WITHIN_S,
                ping_interval=self._keeping.ping_every_s,
                ping_timeout=self._keeping.silence_s,
                max_size=self._keeping.max_frame_bytes,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            if status < 500:
                raise Denied(status, bytes(error.response.body or b"")) from None
            raise self.failed(f"the old service answered {status}") from None
        except (OSError, TimeoutError, WebSocketException) as error:
            raise self.failed(str(error) or type(error).__name__) from None
        self.reason = None
        return old

    def failed(self, reason: str) -> Away:
        """Count it. For a log and the status, and to be raised."""
        reason = redact(reason)  # it goes into the status, and libraries quote addresses
        self.failures += 1
        if self.reason is None:
            log.warning("the old service is away", reason=reason)
        self.reason = reason
        return Away(reason)


def points_at(url: str, host: str, port: int) -> bool:
    """True where an upstream is our own listener: each socket would open the next."""
    parts = urlsplit(url)
    local = ("127.0.0.1", "localhost", "::1", "0.0.0.0", "::")
    same = parts.hostname == host or (parts.hostname in local and host in local)
    return same and (parts.port or (443 if parts.scheme == "wss" else 80)) == port


def _headers(request: web.Request) -> list[tuple[str, str]]:
    kept = [
        (name, value)
        for name, value in request.headers.items()
        if name.lower() not in _OWN_HEADERS
        and not name.lower().startswith("sec-websocket-")
        and name.lower() != "x-forwarded-for"
        and not (name.lower() == "authorization" and request.get(TOKEN_IS_OURS, False))
    ]
    way = [*request.headers.getall("X-Forwarded-For", []), _peer(request)]
    return [*kept, ("X-Forwarded-For", ", ".join(way))]


def _peer(request: web.Request) -> str:
    """Who connected, which is the last proxy where the request came through some; `remote` may be the client before them."""
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    return str(peer[0]) if isinstance(peer, (tuple, list)) and peer else "unknown"
