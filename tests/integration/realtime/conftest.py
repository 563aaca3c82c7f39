"""Fixtures of the broadcast: a journal, a stand-in, and the official client as a receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from realtime import AsyncRealtimeClient, RealtimeSubscribeStates

from migctl.config import Target
from migctl.journal.sqlite import SqliteJournal
from migctl.target import mint

TOPIC = "public.monitoring_events"


class Received:
    """What an official client got of the topic, in order."""

    def __init__(self) -> None:
        self.hints: list[dict[str, Any]] = []
        self.heartbeats: list[dict[str, Any]] = []
        self.states: list[RealtimeSubscribeStates] = []

    @property
    def seqs(self) -> list[int]:
        return [event["seq"] for hint in self.hints for event in hint["events"]]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for hint in self.hints for event in hint["events"]]


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    journal = await SqliteJournal.open(tmp_path / "journal.db")
    yield journal
    await journal.aclose()


@pytest.fixture
async def receive(standin: Target) -> AsyncIterator[Callable[..., Awaitable[Received]]]:
    """`await receive(role)`: an official client that has joined the private topic."""
    clients: list[AsyncRealtimeClient] = []

    async def joined(role: str = "authenticated") -> Received:
        client = AsyncRealtimeClient(
            f"{standin.supabase_url}/realtime/v1", standin.anon_key, auto_reconnect=False
        )
        clients.append(client)
        await client.connect()
        await client.set_auth(mint(standin.need("jwt_secret"), role, 60))
        received = Received()
        channel = client.channel(
            TOPIC,
            {
                "config": {
                    "private": True,
                    "broadcast": {"ack": False, "self": False},
                    "presence": {"key": "", "enabled": False},
                }
            },
        )
        channel.on_broadcast("events", lambda said: received.hints.append(said["payload"]))
        channel.on_broadcast("heartbeat", lambda said: received.heartbeats.append(said["payload"]))
        await channel.subscribe(lambda state, error: received.states.append(state))
        return received

    yield joined
    for client in clients:
        await client.close()
