"""A record on a real database, behind the stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from migctl.config import Target
from migctl.flags.record import Record
from migctl.stack.keys import Keys
from migctl.stack.launcher import any_free_port
from migctl.stack.standin_process import StandinProcess
from migctl.stack.valkey import Valkey


@pytest.fixture
def process(migrated: str, keys: Keys, tmp_path: Path) -> Iterator[StandinProcess]:
    """A stand-in as a process that a test may kill."""
    process = StandinProcess(
        tmp_path / "standin", any_free_port(), database_url=migrated, jwt_secret=keys.jwt_secret
    )
    process.start()
    yield process
    process.stop()


@pytest.fixture
def target(process: StandinProcess, migrated: str, keys: Keys) -> Target:
    return Target(
        supabase_url=process.url,
        anon_key=keys.anon_key,
        service_role_key=keys.service_role_key,
        jwt_secret=keys.jwt_secret,
        database_url=migrated,
        embedded=True,
    )


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path, any_free_port())
    server.begin()
    server.wait_ready()
    yield server
    server.stop()


@pytest.fixture
async def record(target: Target) -> AsyncIterator[Record]:
    record = Record(target, "public", "local/public")
    yield record
    await record.aclose()
