"""Each fault loses something for who only listens, as the official client lets one, and nothing for our subscriber."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from realtime import AsyncRealtimeClient, RealtimeSubscribeStates

from migctl.config import Target
from migctl.faults import switches
from migctl.journal.sqlite import SqliteJournal
from migctl.stack.keys import Keys
from migctl.stack.launcher import any_free_port
from migctl.stack.postgres import Postgres
from migctl.stack.standin.faults import FAULTS, NAMES, Name
from migctl.stack.standin_process import StandinProcess
from migctl.target import mint
from tests.conftest import _migrate
from tests.kit import databases
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.receiving import publishing, reader, receiving

Live = Literal["broadcast", "postgres_changes"]
TOPIC = "public.monitoring_events"
DATA = b'{"long": "%b"}' % (b"x" * 100)


@pytest.fixture(scope="module")
def target(
    postgres: Postgres, templates: databases.Templates, keys: Keys, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """One for all faults: each test clears what it switched on."""
    url = databases.clone(postgres, templates.get("template_migrated", _migrate))
    process = StandinProcess(
        tmp_path_factory.mktemp("faults") / "standin",
        any_free_port(),
        database_url=url,
        jwt_secret=keys.jwt_secret,
    )
    process.start()
    yield Target(
        supabase_url=process.url,
        anon_key=keys.anon_key,
        service_role_key=keys.service_role_key,
        jwt_secret=keys.jwt_secret,
        database_url=url,
        embedded=True,
    )
    process.stop()
    databases.drop(postgres, url)


@pytest.fixture
def clear(target: Target) -> Iterator[None]:
    yield
    switches.clear(target)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the one journal of this target is: a second one would be a stranger to it."""
    return tmp_path_factory.mktemp("journal")


@pytest.fixture
async def journal(folder: Path) -> AsyncIterator[SqliteJournal]:
    journal = await SqliteJournal.open(folder / "journal.db")
    yield journal
    await journal.aclose()


@dataclass
class Listener:
    """What the official client hands to a callback, and nothing else: no table, no position."""

    subscribed: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    ids: set[str] = field(default_factory=set)
    cut: int = 0

    def take(self, one: dict[str, Any]) -> None:
        self.cut += one.get("data") is None
        if one.get("data") is not None:  # cut off: there is nothing to show
            self.ids.add(one["id"])


@contextlib.asynccontextmanager
async def listening(target: Target, live: Live) -> AsyncIterator[Listener]:
    """The official client as its documentation shows it, and subscribed as it says it."""
    listener = Listener()
    client = AsyncRealtimeClient(f"{target.supabase_url}/realtime/v1", token=target.anon_key)
    client.access_token = mint(target.need("jwt_secret"), "authenticated", 3600.0)
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
    if live == "broadcast":
        channel.on_broadcast(
            "events", lambda got: [listener.take(one) for one in got["payload"]["events"]] and None
        )
    else:
        channel.on_postgres_changes(
            "INSERT",  # type: ignore[arg-type]
            lambda got: listener.take(dict(got["data"]["record"])),
            schema="public",
            table="monitoring_events",
        )
        channel.on_system(lambda said: listener.ready.set() if said.extension == "postgres_changes" else None)

    def told(state: RealtimeSubscribeStates, _: Exception | None) -> None:
        if state is RealtimeSubscribeStates.SUBSCRIBED:
            listener.subscribed.set()

    await client.connect()
    await channel.subscribe(told)
    await listener.subscribed.wait()
    try:
        yield listener
    finally:
        await client.close()


# How each is used: for how long it is on where it would be a single blow, and whether who only listens hears anything ever again.
BRIEF = {"clean-close": 0.7}
DEAF_FOR_GOOD = ("subscriptions-cleared", "channel-closed")
CASES: list[tuple[Name, Live]] = [
    (name, "postgres_changes" if FAULTS[name].concerns == "postgres_changes" else "broadcast")
    for name in NAMES
]


@pytest.mark.usefixtures("clear")
@pytest.mark.parametrize(("name", "live"), CASES, ids=[name for name, _ in CASES])
async def test_fault_loses_events_for_who_only_listens_and_none_for_ours(
    target: Target, journal: SqliteJournal, name: Name, live: Live
) -> None:
    before = name == "early-reply"
    struck, after = [event(DATA) for _ in range(5)], []
    async with (
        publishing(journal, target),
        reader(target, live=live, position=journal_position(journal)) as ours,
    ):
        if before:
            switches.switch_on(target, name)
        async with receiving(ours) as received, listening(target, live) as naive:
            if live == "postgres_changes" and not before:
                await naive.ready.wait()
            if not before:
                await until(lambda: ours.idle)
                switches.switch_on(target, name, for_s=BRIEF.get(name))
            taken = taken_by(target, name)
            await journal.append(struck)
            await received.count(5)
            if name == "rate-skip":
                # Ours read the rows themselves; the log with their changes may not have been looked at yet.
                await until(lambda: taken_by(target, name) >= taken + 5)
            if name == "poisoned-poll":
                await until(lambda: taken_by(target, name) > taken)
            if name == "oversize":
                await until(lambda: naive.cut >= 5)
            if before:
                await naive.ready.wait()
            switches.clear(target)
            while True:  # the same listener hears what comes later, so what it has not heard by then is lost
                after.append(event(DATA))
                await journal.append(after[-1:])
                await received.count(5 + len(after))
                if name in DEAF_FOR_GOOD or await heard(naive, after[-1].id):
                    break
    assert received.ids == [one.id for one in struck + after]
    assert received.gaps == []
    assert not naive.ids & {one.id for one in struck}, "who only listens has lost nothing"
    assert bool(naive.ids) != (name in DEAF_FOR_GOOD)


def taken_by(target: Target, name: Name) -> int:
    return next(int(each.taken) for each in switches.switched(target) if each.name == name)


def journal_position(journal: SqliteJournal) -> Any:
    from migctl.events import Position

    return Position(journal.epoch, journal.head)


async def heard(naive: Listener, wanted: str) -> bool:
    try:
        await until(lambda: wanted in naive.ids, within_s=1)
    except AssertionError:
        return False
    return True


@pytest.mark.usefixtures("clear")
async def test_without_a_fault_who_only_listens_hears_all(target: Target, journal: SqliteJournal) -> None:
    """Otherwise the losses above would prove nothing."""
    sent = [event(DATA) for _ in range(5)]
    async with (
        publishing(journal, target),
        listening(target, "broadcast") as hints,
        listening(target, "postgres_changes") as changes,
    ):
        await changes.ready.wait()
        await journal.append(sent)
        wanted = {one.id for one in sent}
        await until(lambda: hints.ids == wanted and changes.ids == wanted)


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_no_key_but_the_service_key_opens_the_switches(target: Target, role: str) -> None:
    headers = {
        "apikey": target.need("anon_key"),
        "Authorization": f"Bearer {mint(target.need('jwt_secret'), role, 60.0)}",
    }
    for method, path in (("GET", ""), ("PUT", "/rate-skip"), ("DELETE", "")):
        answer = httpx.request(method, f"{target.supabase_url}/standin/v1/faults{path}", headers=headers)
        assert answer.status_code == 403, answer.text
    assert not any(each.on for each in switches.switched(target))


@pytest.mark.usefixtures("clear")
async def test_fault_with_a_time_ends_by_itself_and_one_without_ends_by_clear(target: Target) -> None:
    def on() -> set[str]:
        return {each.name for each in switches.switched(target) if each.on}

    switches.switch_on(target, "rate-skip", for_s=0.1)
    switches.switch_on(target, "oversize")
    switches.switch_on(target, "slot-loss")
    assert {"oversize", "slot-loss"} <= on()
    await until(lambda: on() == {"oversize", "slot-loss"})
    switches.clear(target, "slot-loss")
    assert on() == {"oversize"}
    switches.clear(target)
    assert on() == set()
