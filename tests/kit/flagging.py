"""The flags of a `serve`, in this process, over a real record and Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from migctl.config import Settings, Target
from migctl.flags.record import Record
from migctl.flags.service import FlagService
from migctl.flags.snapshot import Row
from migctl.runtime.flags import make_flags
from tests.unit.flags.test_shares import document, shares

USERS = [f"user-{number}" for number in range(200)]


@asynccontextmanager
async def flagging(
    folder: Path,
    target: Target,
    *,
    redis_url: str | None = None,
    url: str = "http://127.0.0.1:1",
    **more: Any,
) -> AsyncIterator[FlagService]:
    """Running for as long as the block lasts; then stopped cleanly."""
    async with AsyncExitStack() as stack:
        options = {"override": None, **more}
        service = make_flags(
            Settings(state_dir=str(folder)),
            "dual",
            replace(target, redis_url=redis_url),
            stack=stack,
            **options,
        )
        service.registration.url = url
        await service.begin()
        running = asyncio.create_task(service.run())
        try:
            yield service
        finally:
            running.cancel()
            await asyncio.wait([running])
            await service.end()


def on_realtime(service: FlagService) -> int:
    """How many of 200 users."""
    return sum(service.assign(user).variant == "realtime" for user in USERS)


async def write_share(record: Record, percent: float, **more: Any) -> Row:
    """As an operator does who saw what the record has."""
    said = await record.read()
    options = {
        "kind": "up",
        "known_n": 0,
        "actor": "ada",
        "reason": "a test",
        "raises": ["transport"],
        **more,
    }
    return await record.write(document(shares(percent)), expected_n=said.n, **options)
