"""Fixtures that need real parts. All of them end with the test process, however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

from migctl import clock, redaction
from migctl.config import Target
from migctl.flags.record import Record
from migctl.stack.keys import Keys
from migctl.stack.launcher import any_free_port
from migctl.stack.postgres import Postgres
from migctl.stack.standin_process import StandinProcess
from migctl.stack.valkey import Valkey
from tests.kit import databases, seed
from tests.kit.relaying import Tables
from tests.kit.targets import standing, target_of

pytest_plugins = ["tests.kit.needs"]

# Before anything is open that it would keep.
seed.plant()

# How long one example takes says how busy the machine is.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# A shell ignores SIGINT in what it starts in the background, and all below inherit it; but the tests interrupt processes by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A process has a second to confirm. Four tests on two cores may keep it from that, and a command that ends with 1 is right then.
# Where this is what failed, and only there, a test has another try.
NOT_WITHIN_A_SECOND = [r"no answer within 1 s", r"took_s"]


# Half a minute and more each. They begin first, a share of them in each process: everybody would wait for one that began last.
LONGEST = (
    "test_a_walk_reaches_the_end_over_kills_silence_a_bad_gate_and_stores_that_go_away",
    "test_whatever_happens_each_acknowledged_event_is_a_row_a_tombstone_or_said_to_be_lost_and_readers_get_one_run",
    "test_a_page_that_nobody_looks_at_keeps_its_transport_and_goes_through_an_outage",
    "test_a_share_goes_up_and_down_in_every_process_and_who_does_not_confirm_is_named",
    "test_nothing_is_lost_doubled_moved_or_invented_while_every_part_is_killed",
    "test_a_walk_that_is_killed_everywhere_is_the_walk_that_it_would_have_been",
    "test_a_broken_file_stops_no_abort_and_no_lower_set_and_every_raise",
    "test_every_state_is_said_in_both_themes_and_at_both_widths",
    "test_nothing_is_lost_and_the_hypothesis_holds_again",
    "test_without_its_remedy_it_fails_by_the_objective_that_it_names",
    "test_ten_kills_lose_nothing_double_nothing_and_leave_each_subscriber_one_run",
    "test_a_completion_that_is_killed_everywhere_is_the_one_that_it_would_have_been",
    "test_kill_9_of_serve_loses_nothing_and_doubles_nothing",
    "test_the_websocket_is_switched_off_and_nobody_loses_an_event_and_revert_opens_it_again",
    "test_users_move_to_realtime_and_back_without_losing_an_event",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # xdist deals the list out in as many runs as there are processes, and who has done with theirs takes from the ends of others.
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = sorted(
        (item for item in items if item.name.startswith(LONGEST)),
        key=lambda item: [item.name.startswith(one) for one in LONGEST].index(True),
    )
    rest = [item for item in items if not item.name.startswith(LONGEST)]
    ends = [len(items) * (process + 1) // processes for process in range(processes)]
    items[:] = []
    for process, end in enumerate(ends):
        share = long[process::processes]
        left = end - len(items) - len(share)
        items += share + rest[:left]
        rest = rest[left:]
    for item in items:
        item.add_marker(pytest.mark.flaky(reruns=2, only_rerun=NOT_WITHIN_A_SECOND))


@pytest.fixture(scope="module")
def real_starts() -> Iterator[None]:
    """Processes are looked at, or left alone by nothing but what a start leaves them: none is forked."""
    with pytest.MonkeyPatch.context() as environ:
        for name, value in seed.REAL.items():
            environ.setenv(name, value)
        yield


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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A module that says ELSEWHERE = True runs on both kinds of database."""
    if "surroundings" in metafunc.fixturenames and getattr(metafunc.module, "ELSEWHERE", None) is True:
        metafunc.parametrize("surroundings", databases.SURROUNDINGS, indirect=True)


@pytest.fixture
def surroundings(request: pytest.FixtureRequest) -> str:
    """What a database gives its sessions: nothing of its own, unless the module asks for elsewhere."""
    return getattr(request, "param", databases.HERE)


@pytest.fixture
def database(postgres: Postgres, templates: databases.Templates, surroundings: str) -> Iterator[str]:
    """URL of a fresh database that looks like a new project's."""
    url = databases.clone(postgres, templates.get("template_fresh"), surroundings)
    yield url
    databases.drop(postgres, url)


@pytest.fixture
def migrated(postgres: Postgres, templates: databases.Templates, surroundings: str) -> Iterator[str]:
    """URL of a fresh database with migctl's tables in schema public."""
    url = databases.clone(
        postgres, templates.get(f"template_migrated_{surroundings}", _migrate, surroundings), surroundings
    )
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
