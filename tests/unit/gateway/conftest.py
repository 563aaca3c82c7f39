"""Sessions over real sockets, without a server: the near end is a transport, the far end a socket that reads when the test does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from migctl.transports.websocket.session import Session

Opened = tuple[Session, socket.socket]


@pytest.fixture
async def open_session() -> AsyncIterator[Callable[..., Any]]:
    """`session, far = await open_session(form="legacy", heard_at=5.0)`."""
    ends: list[tuple[asyncio.Transport, socket.socket]] = []

    async def opened(**options: Any) -> Opened:
        near, far = socket.socketpair()
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
        ends.append((transport, far))
        chosen = {"form": "v2", "standby": False, "peer": "test", "max_queue_bytes": 1 << 16, "heard_at": 0.0}
        return Session(transport, **{**chosen, **options}), far

    yield opened
    for transport, far in ends:
        if not transport.is_closing():
            transport.abort()
        far.close()
