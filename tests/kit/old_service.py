"""The old service: a real WebSocket server that greets, answers commands and publishes as facts about such services tell."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Container, Sequence
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from migctl.config.settings import SourceSection
from migctl.ingest import parse_map
from migctl.ingest.frames import reader
from migctl.transports.websocket import Front, Reading, Upstream

FLAT = '{"type":"event","connection_type":"redis","direction":"send","function_name":"get","data_size_bytes":12,"response_time_ms":1.20,"error":null,"metadata":{},"broadcast_time":"2025-10-23 15:11:01 AEDT"}'  # noqa: E501 - a frame as it came
WRAPPED = '{"type":"session_metrics","data":{"active": 3, "big": 12345678901234567890, "e": 1.50},"timestamp":81234.56}'


@dataclass
class OldService:
    url: str
    clients: set[ServerConnection] = field(default_factory=set)
    requests: list[Request] = field(default_factory=list)
    closed_with: list[tuple[int | None, str | None]] = field(default_factory=list)

    async def publish(self, frame: str | bytes) -> None:
        """To each client, one by one."""
        for client in tuple(self.clients):
            with contextlib.suppress(ConnectionClosed):
                await client.send(frame)

    async def close(self, code: int, reason: str = "") -> None:
        for client in tuple(self.clients):
            await client.close(code, reason)

    def cut(self) -> None:
        """Without a goodbye."""
        for client in self.clients:
            client.transport.abort()

    async def _serve(self, client: ServerConnection) -> None:
        assert client.request is not None
        self.requests.append(client.request)
        self.clients.add(client)
        try:
            await client.send(
                '{"type":"initial_stats","stats":{"n": 1},"recent_events":[],"timestamp":"now"}'
            )
            async for message in client:
                await client.send(_reply(message))
        except ConnectionClosed:
            pass
        finally:
            self.clients.discard(client)
            await client.wait_closed()
            self.closed_with.append((client.close_code, client.close_reason))


def _reply(message: str | bytes) -> str | bytes:
    if isinstance(message, bytes):
        return message[::-1]
    try:
        command: dict[str, Any] = json.loads(message)
    except (ValueError, RecursionError):
        return json.dumps({"type": "stats", "answers": "what?"})
    return json.dumps({"type": "stats", "answers": command})


def _door(client: ServerConnection, request: Request) -> Response | None:
    if "gone" in request.path:
        return client.respond(404, "no such route\n")
    return client.respond(403, "not you\n") if "stranger" in request.path else None


def _choose(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return next((one for one in offered if one == "stats.v1"), None)


@contextlib.asynccontextmanager
async def old_service(port: int = 0) -> AsyncIterator[OldService]:
    service = OldService("")
    async with serve(
        service._serve,
        "127.0.0.1",
        port,
        select_subprotocol=_choose,
        process_request=_door,
    ) as server:
        service.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
        yield service


def front(upstream: Upstream | str, *, tapped: Container[str] = frozenset(), **options: Any) -> Front:
    """As `serve` has it before an old service; what this one says besides events is none."""
    mapper = parse_map([], SourceSection(unread_times="arrival"), ignore=["initial_stats,stats"])
    upstream = Upstream(upstream) if isinstance(upstream, str) else upstream
    return Front(upstream, Reading(reader(mapper), tapped), **options)
