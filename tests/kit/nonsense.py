"""A server in front of a target that answers nonsense where it is told to, and else what the target says.

A real one, on a real socket: what comes of an answer is also the HTTP library's matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

from tests.kit.raw_server import bomb

Request = Literal[
    "read heads", "move", "begin", "probe", "reach", "id at", "write", "read back", "tombstones",
    "read tombstones back", "rows", "buried", "retry", "look", "socket", "flags", "stage",
]  # fmt: skip

# What of (method, path, query) tells a request from the others; the first that fits is meant.
_TELLS: tuple[tuple[Request, str, str, str], ...] = (
    ("read heads", "GET", "monitoring_heads", ""),
    ("move", "POST", "rpc/monitoring_move_head", ""),
    ("begin", "POST", "rpc/monitoring_begin_at", ""),
    ("retry", "POST", "rpc/monitoring_retry", ""),
    ("write", "POST", "monitoring_events", ""),
    ("tombstones", "POST", "monitoring_tombstones", ""),
    ("read back", "GET", "monitoring_events", "id=in."),
    ("read tombstones back", "GET", "monitoring_tombstones", "seq=in."),
    ("buried", "GET", "monitoring_tombstones", "select=event,"),
    ("look", "GET", "monitoring_events", "select=epoch,seq"),
    ("id at", "GET", "", "select=id&"),
    ("reach", "GET", "", "select=seq&epoch"),
    ("probe", "GET", "monitoring_events", "select=seq&limit=1"),
    ("rows", "GET", "", "seq=gt."),
    ("flags", "POST", "rpc/monitoring_flags_read", ""),
    ("stage", "GET", "monitoring_rollouts", ""),
)


@dataclass(frozen=True)
class Answer:
    """forwarded: the target gets the request, and only its answer is lost. cut: the connection is closed in the middle of the body.

    repeat: the body again and again, as long as somebody reads it. heard: as a frame, to who opens a socket and says something.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    forwarded: bool = False
    repeat: bool = False
    cut: bool = False
    heard: bool = False


def refusal(status: int, code: Any, message: Any = "no") -> Answer:
    return Answer(status, json.dumps({"code": code, "message": message, "details": None}).encode())


_TIMES = {
    "id": "0190a000-0000-7000-8000-00000000000a", "event_type": "cpu", "timestamp": "infinity", "data": {}, "source": "s",
    "epoch": "e", "seq": "1", "prev_epoch": None, "lost_from": None, "lost_to": None, "writer_id": "we", "fence": 0,
    "started_at": "0044-03-15T00:00:00+00:00 BC", "table_tail": 1, "table_head": "5", "journal_head": 7, "updated_at": "infinity",
    "committed_at": "10000-01-01T00:00:00+00:00", "event": "{",
}  # fmt: skip

# Not one of these says anything of what was asked, whatever that was.
NONSENSE: dict[str, Answer] = {
    "a list of numbers": Answer(body=b"[1,2,3]"),
    "a list of words": Answer(body=b'["epoch","seq"]'),
    "an object": Answer(body=b'{"seq":"1"}'),
    "nothing": Answer(body=b""),
    "no content": Answer(204),
    "null": Answer(body=b"null"),
    "a word": Answer(body=b'"fine"'),
    "a page": Answer(body=b"<html>Welcome to nginx</html>", headers={"Content-Type": "text/html"}),
    "values of other types": Answer(body=json.dumps([_TIMES]).encode()),
    "truths for numbers": Answer(body=b'[{"seq":true,"id":false,"epoch":true,"event":true}]'),
    "vast numbers": Answer(body=b'[{"seq":%b,"id":1}]' % (b"9" * 5000)),
    "no UTF-8": Answer(body=b'[{"seq":"\xff\xfe","id":"\xff"}]'),
    "depth": Answer(body=b"[" * 200_000),
    "no end": Answer(body=b'[{"seq":"' + b"x" * 100_000, repeat=True),
    "half of it": Answer(body=b'[{"seq":', cut=True),
    "no gzip": Answer(body=b"[]", headers={"Content-Encoding": "gzip"}),
    "another place": Answer(301, headers={"Location": "http://["}),
    "a paused project": Answer(540, b"paused"),
    "too many": Answer(429),
    "a refusal without end": Answer(400, b'{"message":"' + b"x" * 100_000, repeat=True),
    "a code that is no text": refusal(400, 22023, ["a", "list"]),
    "a fence": refusal(409, "PT409", "fence 1 is below 2"),
    "a taken position": Answer(409, b'{"code":"23505","details":"Key (epoch, seq)=(e, 5) already exists."}'),
}
# The same packed, which may be more than anybody can hold.
PACKED: dict[str, Answer] = {
    "a bomb": Answer(body=bomb(1 << 30), headers={"Content-Encoding": "gzip"}),
    "a bomb in a bomb": Answer(body=bomb(16 << 30, 2), headers={"Content-Encoding": "gzip, gzip"}),
    "a refusal that is a bomb": Answer(400, bomb(1 << 30), headers={"Content-Encoding": "gzip"}),
}
# What is said where a socket was asked for.
SOCKETS: dict[str, Answer] = {
    "a place that is no address": Answer(301, headers={"Location": "ws://["}),
    "a port that is none": Answer(307, headers={"Location": "ws://a:99999999/"}),
    "itself": Answer(302, headers={"Location": "/"}),
    "a page": Answer(200, b"<html>Welcome to nginx</html>"),
    "no such tenant": Answer(403, b"{}"),
    "no frame": Answer(body=b"[1,2]", heard=True),
    "a reason of 980 levels": Answer(
        body=b'{"event":"phx_reply","topic":"realtime:public.monitoring_events","ref":"1",'
        b'"payload":{"status":"error","response":%b}}' % (b"[" * 980 + b"]" * 980),
        heard=True,
    ),
}
# What blames what was written, where something was.
BLAMES: dict[str, Answer] = {
    "413": Answer(413, b"<html>413 Request Entity Too Large</html>"),
    "22P02": refusal(400, "22P02"),
    "23514": refusal(400, "23514"),
    "54000": refusal(500, "54000"),
}


class Front:
    """url: give it to who asks. counts: how often each request came."""

    def __init__(self, behind: str) -> None:
        self._behind = behind
        self._waiting: dict[Request, deque[Answer]] = defaultdict(deque)
        self._always: dict[Request, Answer] = {}
        self.counts: dict[str, int] = defaultdict(int)
        self.url = ""
        self._open: set[web.WebSocketResponse] = set()

    async def hang_up(self) -> None:
        """Close every socket that is passed through: who had one asks for another."""
        for socket in list(self._open):
            await socket.close()

    def next(self, request: Request, answers: Sequence[Answer]) -> None:
        """Answer the next requests of this kind so, each once."""
        self._waiting[request].extend(answers)

    def always(self, request: Request, answer: Answer | None) -> None:
        """Answer all requests of this kind so; None ends it."""
        if answer is None:
            self._always.pop(request, None)
        else:
            self._always[request] = answer

    def left(self, request: Request) -> int:
        """Answers that nobody has asked for yet."""
        return len(self._waiting[request])

    async def handle(self, request: web.Request) -> web.StreamResponse:
        is_socket = request.headers.get("Upgrade", "").lower() == "websocket"
        kind = (
            "socket" if is_socket else _kind(request.method, request.path, request.raw_path.partition("?")[2])
        )
        answer = None
        if kind is not None:
            self.counts[kind] += 1
            answer = self._waiting[kind].popleft() if self._waiting[kind] else self._always.get(kind)
        if is_socket and answer is None:
            return await self._pass_through(request)
        if answer is None or answer.forwarded:
            told = await self._ask(request)
            if answer is None:
                return told
        return await _say(request, answer)

    async def _pass_through(self, request: web.Request) -> web.WebSocketResponse:
        """A socket of Realtime."""
        near = web.WebSocketResponse(max_msg_size=0)
        await near.prepare(request)
        self._open.add(near)
        url = f"ws{self._behind.removeprefix('http')}{request.raw_path}"
        async with ClientSession() as session, session.ws_connect(url, max_msg_size=0) as far:
            ways = [asyncio.create_task(_carry(*way)) for way in ((near, far), (far, near))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        self._open.discard(near)
        await near.close()
        return near

    async def _ask(self, request: web.Request) -> web.Response:
        headers = {
            key: value for key, value in request.headers.items() if key not in ("Host", "Accept-Encoding")
        }
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.request(
                request.method,
                f"{self._behind}{request.raw_path}",
                headers=headers,
                content=await request.read(),
            )
        counted = {name: text for name, text in answer.headers.items() if name.lower() == "content-range"}
        return web.Response(
            status=answer.status_code,
            body=answer.content,
            content_type="application/json",
            headers=counted,
        )


Socket = web.WebSocketResponse | ClientWebSocketResponse


async def _carry(source: Socket, to: Socket) -> None:
    async for message in source:
        await (to.send_str if message.type is WSMsgType.TEXT else to.send_bytes)(message.data)


def _kind(method: str, path: str, query: str) -> Request | None:
    table = path.removeprefix("/rest/v1/")
    return next(
        (
            name
            for name, its_method, its_table, tell in _TELLS
            if its_method == method and table.endswith(its_table) and tell in query
        ),
        None,
    )


async def _say(request: web.Request, answer: Answer) -> web.StreamResponse:
    if answer.heard:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        await socket.send_str(answer.body.decode())
        await socket.close()
        return socket
    if not answer.repeat and not answer.cut:
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
    stream = web.StreamResponse(status=answer.status, headers=answer.headers)
    if answer.cut:
        stream.content_length = 2 * len(answer.body)
    await stream.prepare(request)
    with contextlib.suppress(ConnectionError):
        await stream.write(answer.body)
        while answer.repeat:
            await stream.write(answer.body)
    if request.transport is not None:
        request.transport.abort()
    return stream


@contextlib.asynccontextmanager
async def nonsense_before(behind: str) -> AsyncIterator[Front]:
    """behind: the address of a target."""
    front = Front(behind)
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{path:.*}", front.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        front.url = f"http://{host}:{port}"
        yield front
    finally:
        await runner.cleanup()
