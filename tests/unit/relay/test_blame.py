"""Who is blamed for a refusal, on answers that a real server won't give on demand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import respx

from migctl.config import Settings, Target
from migctl.delivery.attempts import Attempts, SharedBreaker
from migctl.delivery.blame import Blamed
from migctl.delivery.burying import Burying
from migctl.errors import Poison
from migctl.journal.sqlite import SqliteJournal
from migctl.resilience import BreakerRules
from migctl.target import TableWriter
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.relaying import publish, relaying

TARGET = Target("http://127.0.0.1:9", service_role_key="key")
REFUSED = httpx.Response(400, json={"code": "22P02", "message": "invalid input syntax for type json"})
AWAY = httpx.Response(503, json={"code": "PGRST001", "message": "Database client error"})


def _head(request: httpx.Request) -> httpx.Response:
    said = json.loads(request.content)
    return httpx.Response(
        200,
        json={
            "epoch": said["p_epoch"], "prev_epoch": None, "lost_from": None, "lost_to": None, "writer_id": said["p_writer_id"],
            "fence": 0, "started_at": said["p_started_at"], "table_tail": 1, "table_head": said["p_table_head"],
            "journal_head": said["p_journal_head"], "updated_at": said["p_started_at"],
        },
    )  # fmt: skip


async def test_event_is_not_blamed_while_the_table_itself_cannot_be_read(journal: SqliteJournal) -> None:
    with respx.mock(base_url="http://127.0.0.1:9/rest/v1") as mock:
        mock.get("/monitoring_heads").respond(200, json=[])
        mock.post("/rpc/monitoring_move_head").mock(side_effect=_head)
        start, during = httpx.Response(200, json=[]), AWAY
        mock.get("/monitoring_events").mock(side_effect=[start, during])
        mock.post("/monitoring_events").mock(side_effect=[REFUSED, httpx.Response(201, json=[{"seq": 1}])])
        async with relaying(journal, TARGET) as relay:
            await publish(journal, [event()])
            await until(lambda: relay.table_head == 1)
            assert relay.status().rows == 1
    assert await journal.dead_letters() == []


class Tables:
    """Answers as the target's tables do. refuses: whether the events table refuses every value; asked: what was asked, in order."""

    def __init__(self) -> None:
        self.refuses = True
        self.asked: list[str] = []

    def write(self, request: httpx.Request) -> httpx.Response:
        self.asked.append("write")
        if self.refuses:
            return REFUSED
        return httpx.Response(201, json=[{"seq": row["seq"]} for row in json.loads(request.content)])

    def read(self, _: httpx.Request) -> httpx.Response:
        self.asked.append("read")
        return httpx.Response(200, json=[])

    def bury(self, request: httpx.Request) -> httpx.Response:
        self.asked.append("bury")
        return httpx.Response(201, json=[{"seq": row["seq"]} for row in json.loads(request.content)])


@contextmanager
def answering() -> Iterator[Tables]:
    tables = Tables()
    with respx.mock(base_url="http://127.0.0.1:9/rest/v1", assert_all_called=False) as mock:
        mock.get("/monitoring_heads").respond(200, json=[])
        mock.post("/rpc/monitoring_move_head").mock(side_effect=_head)
        mock.get("/monitoring_events").mock(side_effect=tables.read)
        mock.post("/monitoring_events").mock(side_effect=tables.write)
        mock.post("/monitoring_tombstones").mock(side_effect=tables.bury)
        yield tables


def storms(a_minute: int, *, retry_s: float) -> Settings:
    retry = {"first_delay_s": retry_s, "max_delay_s": retry_s}
    return Settings.model_validate(
        {
            # These tables have no rows to compare with.
            "relay": {"max_dead_letters_per_minute": a_minute, "compare_every_s": 0},
            "resilience": {"retry": retry, "systemic_retry": retry},
        }
    )


async def test_each_burial_comes_right_after_a_read_of_the_table(journal: SqliteJournal) -> None:
    with answering() as tables:
        await publish(journal, [event(), event(), event()])
        async with relaying(journal, TARGET, settings=storms(20, retry_s=0.001)) as relay:
            await until(lambda: relay.table_head == 3)
            assert relay.burying.status().waiting == 3
        assert tables.asked.count("bury") == 3
        for place, asked in enumerate(tables.asked):
            if asked == "bury":
                assert tables.asked[place - 2 : place] == ["write", "read"]


async def test_a_burial_that_is_repeated_after_a_crash_is_one_dead_letter(journal: SqliteJournal) -> None:
    """The tombstone stood, the cursor did not pass it yet: the next process buries it again."""
    with answering() as tables:
        await publish(journal, [event()])
        (entry,) = await journal.read(0, limit=1)
        resilience, counted = Settings().resilience, Counter[str]()
        rules = BreakerRules(**resilience.breaker.model_dump())
        attempts = Attempts("table", SharedBreaker("table", rules), resilience, lambda: 0.0)
        writer = TableWriter(TARGET, "public")
        for _ in range(2):
            burying = Burying(journal, writer, attempts, counted, a_minute=20)
            assert await burying.bury(Blamed(entry, Poison("refused", do="mend it"))) is None
        await writer.aclose()
        assert (counted, burying.status().waiting) == ({"poison": 1}, 1)
        assert (len(await journal.dead_letters()), tables.asked) == (1, ["bury", "bury"])


async def test_a_storm_is_held_and_what_is_held_goes_on_once_it_is_accepted(journal: SqliteJournal) -> None:
    with answering() as tables:
        await publish(journal, [event() for _ in range(5)])
        async with relaying(journal, TARGET, settings=storms(2, retry_s=3600.0)) as relay:
            await until(lambda: relay.status().state == "paused")
            assert relay.table_head == 2
            assert "2 dead letters in a minute; next is seq 3" in relay.status().reason
            assert relay.burying.status().held_since is not None
            await relay.burying.accept(10, "ann@host")
            await until(lambda: relay.table_head == 5)
            assert relay.burying.status().held_since is None
            assert relay.status().state == "running"
        assert tables.asked.count("bury") == 5


async def test_a_hold_ends_by_itself_once_the_table_takes_the_event(journal: SqliteJournal) -> None:
    with answering() as tables:
        await publish(journal, [event() for _ in range(5)])
        async with relaying(journal, TARGET, settings=storms(2, retry_s=0.001)) as relay:
            await until(lambda: relay.status().state == "paused" and tables.asked.count("write") > 20)
            assert tables.asked.count("bury") == relay.table_head == 2, "tried again and again, never buried"
            tables.refuses = False
            await until(lambda: relay.table_head == 5)
            assert (relay.status().rows, relay.burying.status().held_since) == (3, None)


@pytest.mark.parametrize(("minutes", "buried"), [(10.0, 5), (1e-9, 2)])
async def test_hold_and_acceptance_outlive_the_process(
    journal: SqliteJournal, minutes: float, buried: int
) -> None:
    with answering():
        await publish(journal, [event() for _ in range(5)])
        async with relaying(journal, TARGET, settings=storms(2, retry_s=3600.0)) as relay:
            await until(lambda: relay.status().state == "paused")
            since = relay.burying.status().held_since
        async with relaying(journal, TARGET, settings=storms(2, retry_s=3600.0)) as relay:
            await until(lambda: relay.status().state == "paused")
            assert relay.burying.status().held_since == since
        async with relaying(journal, TARGET, settings=storms(2, retry_s=3600.0)) as relay:
            await relay.burying.load()
            await relay.burying.accept(minutes, "ann@host")
        async with relaying(journal, TARGET, settings=storms(2, retry_s=3600.0)) as relay:
            await until(lambda: relay.status().state == "paused" or relay.table_head == 5)
            assert len(await journal.dead_letters()) == buried


async def test_rate_limit_delays_and_loses_nothing(journal: SqliteJournal) -> None:
    with respx.mock(base_url="http://127.0.0.1:9/rest/v1") as mock:
        mock.get("/monitoring_heads").respond(200, json=[])
        mock.get("/monitoring_events").respond(200, json=[])
        mock.post("/rpc/monitoring_move_head").mock(side_effect=_head)
        mock.post("/monitoring_events").mock(
            side_effect=[
                httpx.Response(429), httpx.Response(429), httpx.Response(201, json=[{"seq": 1}, {"seq": 2}])
            ]
        )  # fmt: skip
        async with relaying(journal, TARGET) as relay:
            await publish(journal, [event(), event()])
            await until(lambda: relay.table_head == 2)
            assert relay.status().retries == 2


async def test_key_that_is_refused_twice_pauses_the_relay(journal: SqliteJournal) -> None:
    with respx.mock(base_url="http://127.0.0.1:9/rest/v1") as mock:
        mock.get("/monitoring_heads").respond(401, json={"message": "Invalid API key"})
        async with relaying(journal, TARGET) as relay:
            await until(lambda: relay.status().state == "paused")
            assert "Invalid API key" in relay.status().reason
