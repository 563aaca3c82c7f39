"""Fixtures that need real parts. All of them end with the test process, however it ends."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from migctl import clock, redaction
from migctl.config import Target
from migctl.flags.record import Record
from migctl.stack.keys import Keys
from migctl.stack.launcher import any_free_port
from migctl.stack.postgres import Postgres
from migctl.stack.standin_process import StandinProcess
from migctl.stack.valkey import Valkey
from tests.kit import databases
from tests.kit.relaying import Tables
from tests.kit.targets import standing, target_of

pytest_plugins = ["tests.kit.needs"]

# A shell ignores SIGINT in what it starts in the background, and all below inherit it; but the tests interrupt processes by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A process has a second to confirm. Four tests on two cores may keep it from that, and a command that ends with 1 is right then.
# Where this is what failed, and only there, a test has another try.
NOT_WITHIN_A_SECOND = [r"no answer within 1 s", r"took_s"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.flaky(reruns=2, only_rerun=NOT_WITHIN_A_SECOND))


@pytest.fixture(autouse=True)
def _no_secret_of_another_test() -> Iterator[None]:
    """What one test plants as a secret may be a word in the next."""
    yield
    redaction.OURS.forget_all()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A running server for the whole session. `postgres.url(database)`, `postgres.admin_url(database)`."""
    server = Postgres(
        tmp_path_factory.mktemp("postgres"),
        any_free_port(),
        settings={"fsync": "off", "full_page_writes": "off"},
    )
    server.start()
    yield server
    server.discard()


@pytest.fixture(scope="session")
def templates(postgres: Postgres) -> databases.Templates:
    return databases.Templates(postgres)


@pytest.fixture
def database(postgres: Postgres, templates: databases.Templates) -> Iterator[str]:
    """URL of a fresh database that looks like a new project's."""
    url = databases.clone(postgres, templates.get("template_fresh"))
    yield url
    databases.drop(postgres, url)


@pytest.fixture
def migrated(postgres: Postgres, templates: databases.Templates) -> Iterator[str]:
    """URL of a fresh database with migctl's tables in schema public."""
    url = databases.clone(postgres, templates.get("template_migrated", _migrate))
    yield url
    databases.drop(postgres, url)


def _migrate(url: str) -> None:
    # In a thread of its own: the fixture may be asked for while an event loop runs in this one.
    from concurrent.futures import ThreadPoolExecutor

    from migctl.schema import apply

    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(apply(url, "public", who="tests"))).result()


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys.fresh(clock.now())


@pytest.fixture
def standin(migrated: str, keys: Keys, tmp_path: Path) -> Iterator[Target]:
    """A stand-in for Supabase on a migrated database of its own."""
    with standing(tmp_path / "standin", migrated, keys) as process:
        yield target_of(process, migrated, keys)


@pytest.fixture
def process(migrated: str, keys: Keys, tmp_path: Path) -> Iterator[StandinProcess]:
    """The same as a process that a test may kill; `target` is what a client of it needs, `tables` what is in its database."""
    with standing(tmp_path / "standin", migrated, keys) as process:
        yield process


@pytest.fixture
def target(process: StandinProcess, migrated: str, keys: Keys) -> Target:
    return target_of(process, migrated, keys)


@pytest.fixture
def tables(migrated: str) -> Tables:
    return Tables(migrated)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A Redis of its own, which a test may kill."""
    server = Valkey(tmp_path / "valkey", any_free_port())
    server.begin()
    server.wait_ready()
    yield server
    server.stop()


@pytest.fixture
async def record(target: Target) -> AsyncIterator[Record]:
    """A record on a real database, behind the stand-in."""
    record = Record(target, "public", "local/public")
    yield record
    await record.aclose()
