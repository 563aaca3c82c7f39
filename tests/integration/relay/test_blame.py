"""Who is blamed for a refusal, on answers that a real server won't give on demand."""

from __future__ import annotations

import json

import httpx
import respx

from migctl.config import Target
from migctl.journal.sqlite import SqliteJournal
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
            assert relay.status()["rows"] == 1
    assert await journal.dead_letters() == []


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
            assert relay.status()["retries"] == 2


async def test_key_that_is_refused_twice_pauses_the_relay(journal: SqliteJournal) -> None:
    with respx.mock(base_url="http://127.0.0.1:9/rest/v1") as mock:
        mock.get("/monitoring_heads").respond(401, json={"message": "Invalid API key"})
        async with relaying(journal, TARGET) as relay:
            await until(lambda: relay.status()["state"] == "paused")
            assert "Invalid API key" in relay.status()["reason"]
