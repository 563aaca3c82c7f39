"""A stand-in on tables of its own, started with the limits that a test asks for."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import psycopg
import pytest

from migctl.stack.keys import Keys
from migctl.stack.launcher import any_free_port
from migctl.stack.postgres import Postgres
from migctl.stack.standin_process import environment
from tests.kit import databases

TABLES = (Path(__file__).parent / "tables.sql").read_text()


@dataclass(frozen=True)
class Site:
    """One running stand-in."""

    url: str
    keys: Keys
    database: str
    process: subprocess.Popen[bytes]

    def token(self, role: str = "authenticated", *, ttl: float = 3600, **claims: Any) -> str:
        now = int(time.time())
        return jwt.encode(
            {"role": role, "iat": now, "exp": int(now + ttl), **claims}, self.keys.jwt_secret or "", "HS256"
        )

    def sql(self, text: str, *params: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database, autocommit=True) as connection:
            cursor = connection.execute(text.encode(), params or None)
            return cursor.fetchall() if cursor.description else []

    def rest(self, token: str | None = None, **headers: str) -> httpx.AsyncClient:
        key = self.keys.shown.anon_key
        assert key is not None
        return httpx.AsyncClient(
            base_url=f"{self.url}/rest/v1",
            headers={"apikey": key, "Authorization": f"Bearer {token or key}", **headers},
        )


Start = Callable[..., Site]


@contextmanager
def starting(database: str, keys: Keys, folder: Path) -> Iterator[Start]:
    """Starts stand-ins with flags: `start("--rates", "free")`. They wait before refusals only where asked to."""
    running: list[subprocess.Popen[bytes]] = []

    def run(*flags: str) -> Site:
        port = any_free_port()
        with (folder / f"standin-{port}.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "migctl.stack.standin"),
                    *("--listen", f"127.0.0.1:{port}"),
                    *("--join-error-seconds", "0", "--connect-error-seconds", "0", "--log-level", "info"),
                    *flags,
                ],
                env={**os.environ, **environment(database, keys.credentials)},
                stderr=log,
            )
        running.append(process)
        site = Site(f"http://127.0.0.1:{port}", keys, database, process)
        wait_until(lambda: _healthy(site), 60)
        return site

    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(TABLES.encode())
    try:
        yield run
    finally:
        for process in running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(60)


@pytest.fixture
def start(database: str, keys: Keys, tmp_path: Path) -> Iterator[Start]:
    with starting(database, keys, tmp_path) as run:
        yield run


@pytest.fixture
def alone(start: Start) -> Site:
    """Of one test, on a database of its own: for those that end it, change tables, or wait for changes."""
    return start()


@pytest.fixture(scope="module")
def running(
    postgres: Postgres, templates: databases.Templates, keys: Keys, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    url = databases.clone(postgres, templates.get("template_fresh"))
    with starting(url, keys, tmp_path_factory.mktemp("running")) as run:
        yield run()
    databases.drop(postgres, url)


@pytest.fixture
def site(running: Site) -> Site:
    """One process for a module, with empty tables for each test. Starting one takes longer than most tests."""
    running.sql("truncate notes, plain, keyless, unpublished")
    return running


@pytest.fixture(scope="module")
def shared(
    postgres: Postgres, templates: databases.Templates, keys: Keys, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """One for the tests of a module that only read. It has five notes: seq 1 to 5, even and odd."""
    url = databases.clone(postgres, templates.get("template_fresh"))
    with starting(url, keys, tmp_path_factory.mktemp("shared")) as run:
        site = run()
        site.sql(
            "insert into notes (id, seq, kind, data) select ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, n,"
            " (array['even', 'odd'])[1 + (n & 1)], jsonb_build_object('n', n) from generate_series(1, 5) n"
        )
        yield site
    databases.drop(postgres, url)


def _healthy(site: Site) -> bool:
    assert site.process.poll() is None, "the stand-in ended while starting"
    try:
        return httpx.get(f"{site.url}/health").status_code == 200
    except httpx.TransportError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


async def eventually(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Wait for a condition without blocking the loop."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
async def service(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """REST as service_role."""
    async with site.rest(site.keys.service_role_key) as client:
        yield client


@pytest.fixture
async def user(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """REST as authenticated."""
    async with site.rest(site.token()) as client:
        yield client
