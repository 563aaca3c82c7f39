"""Producers that must not lose an event: each sends what it has until it is acknowledged, through every restart of the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any
from uuid import UUID

import httpx

AGAIN_S = 0.05
MOST_A_REQUEST = 4


class Producers:
    """acknowledged: ids, in the order of their acknowledgements. poison: those of them that no jsonb column takes."""

    def __init__(self, url: str, chance: Random, group: asyncio.TaskGroup) -> None:
        self.acknowledged: list[str] = []
        self.poison: list[str] = []
        self._url = url
        self._chance = chance
        self._group = group
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Begin nothing new; what was begun goes on until it is acknowledged."""
        self._stop.set()

    async def send(self, http: httpx.AsyncClient, events: list[dict[str, Any]]) -> None:
        """Return once they are acknowledged."""
        while True:
            try:
                answer = await http.post(f"{self._url}/events", json=events)
            except httpx.HTTPError:
                await asyncio.sleep(AGAIN_S)
                continue
            if answer.status_code == 201:
                break
            assert answer.status_code == 503, answer.text
            await asyncio.sleep(AGAIN_S)
        self.acknowledged += [event["id"] for event in events]

    def begin_poison(self) -> None:
        """One event that the table can't hold, on its way from now on."""
        event = self._event("poisonous", {"text": "\x00"})
        self.poison.append(event["id"])

        async def send() -> None:
            async with self._client() as http:
                await self.send(http, [event])

        self._group.create_task(send())

    async def run(self, name: str) -> None:
        async with self._client() as http:
            while not self._stop.is_set():
                count = self._chance.randint(1, MOST_A_REQUEST)
                await self.send(http, [self._event(name, {"number": number}) for number in range(count)])
                await asyncio.sleep(self._chance.random() * 0.02)  # their pace

    def _event(self, name: str, data: dict[str, Any]) -> dict[str, Any]:
        event_id = UUID(int=self._chance.getrandbits(128), version=4)
        return {"id": str(event_id), "event_type": name, "data": data}

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=2.0, trust_env=False)


@asynccontextmanager
async def producing(url: str, chance: Random, *, count: int = 4) -> AsyncIterator[Producers]:
    """Several at once, until they are told to stop; at the end of the block everything they began is acknowledged."""
    async with asyncio.TaskGroup() as group:
        producers = Producers(url, chance, group)
        for number in range(count):
            group.create_task(producers.run(f"producer_{number}"))
        try:
            yield producers
        finally:
            producers.stop()
