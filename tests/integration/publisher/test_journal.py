"""Publishing in-process: the one writer of a journal, alone or with everything that `serve` runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from migctl import Publisher, Subscriber
from migctl.config import Settings, Target
from migctl.errors import Refused, Transient
from migctl.journal import Conflict
from migctl.journal.sqlite.files import read_file
from tests.kit.conditions import until
from tests.kit.receiving import receiving
from tests.kit.relaying import Tables
from tests.kit.serve_process import serving_process


def settings(folder: Path, **more: Any) -> Settings:
    return Settings.model_validate(
        {"mode": "websocket", "listen": "127.0.0.1:0", "state_dir": str(folder / "state"), **more}
    )


def numbers(journal: Path) -> list[Any]:
    return [json.loads(entry.event.data)["n"] for entry in read_file(journal)]


async def test_a_journal_of_our_own_has_what_was_published_in_order(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with Publisher(journal=path, max_waiting_events=100) as publisher:
        published = await asyncio.gather(*(publisher.publish("cpu", {"n": n}) for n in range(1000)))
        with pytest.raises(Conflict):
            await publisher.publish("cpu", {"n": 0}, id=published[1].id)
        assert publisher.most_waiting_events == 100
    assert [each.seq for each in published] == list(range(1, 1001))
    assert numbers(path) == list(range(1000))


async def test_a_second_writer_is_refused_by_the_holders_number_and_sent_to_its_url(tmp_path: Path) -> None:
    with serving_process(tmp_path, "--mode", "websocket") as serve:
        for options in ({}, {"serve": settings(tmp_path)}):
            with pytest.raises(
                Refused, match=f"process {serve.process.pid} .* writes to this journal"
            ) as told:
                await Publisher(journal=tmp_path / "journal.db", **options).__aenter__()  # type: ignore[arg-type]
            assert "Publisher(url='http://HOST:PORT')" in told.value.do
        serve.send(signal.SIGKILL)
    async with Publisher(journal=tmp_path / "journal.db") as publisher:
        assert (await publisher.publish("cpu", {"n": 1})).seq == 1


async def test_what_was_only_written_is_delivered_by_a_later_serve(tmp_path: Path) -> None:
    async with Publisher(journal=tmp_path / "journal.db") as publisher:
        published = await publisher.publish("cpu", {"n": 1})
    with serving_process(tmp_path, "--mode", "websocket") as serve:
        address = f"{serve.ws_url}?v=2&epoch={published.epoch}&after=0"
        async with connect(address) as socket:
            frames = [json.loads(await socket.recv()) for _ in range(2)]
    assert (frames[1]["id"], frames[1]["seq"], frames[1]["data"]) == (published.id, 1, {"n": 1})


async def test_with_serve_a_dashboard_of_the_old_protocol_sees_what_is_published(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with Publisher(journal=path, serve=settings(tmp_path), source="billing") as publisher:
        assert publisher.url is not None
        async with connect(publisher.url.replace("http", "ws") + "/ws") as socket:
            published = await publisher.publish("cache_metrics", {"hits": 7})
            frame = json.loads(await socket.recv())
            assert (frame["type"], frame["data"]) == ("cache_metrics", {"hits": 7})
        async with httpx.AsyncClient(base_url=publisher.url, trust_env=False) as http:
            told = (await http.get("/api/status")).json()
            source = told["source"]
            assert (source.pop("per_s") > 0, source.pop("since") <= source.pop("last_event_at")) == (
                True,
                True,
            )
            assert source == {
                "kind": "publisher",
                "source": "billing",
                "state": "running",
                "waiting_for": None,
                "accepted": 1,
                "rejected": 0,
                "buffered_bytes": 0,
            }
            assert told["health"] == {"status": "ok", "problems": []}
            # Others may post to it: the same journal, the same seqs.
            posted = await http.post("/events", json={"event_type": "cpu", "data": {}})
            assert posted.json()["first_seq"] == published.seq + 1
    assert [entry.seq for entry in read_file(path)] == [1, 2]
    assert not (tmp_path / "state" / "serve.json").exists()


async def test_in_mode_dual_one_call_reaches_table_and_subscribers(
    standin: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "SUPABASE_URL": standin.supabase_url,
        "SUPABASE_ANON_KEY": standin.need("anon_key"),
        "SUPABASE_SERVICE_ROLE_KEY": standin.need("service_role_key"),
        "SUPABASE_JWT_SECRET": standin.need("jwt_secret"),
        "MIGCTL_LISTEN": "127.0.0.1:0",
        "MIGCTL_STATE_DIR": str(tmp_path / "state"),
    }.items():
        monkeypatch.setenv(name, value)
    tables = Tables(standin.need("database_url"))
    async with Publisher(journal=tmp_path / "journal.db", serve="dual") as publisher:
        assert publisher.url is not None
        async with Subscriber(publisher.url) as subscriber, receiving(subscriber) as received:
            for n in range(20):
                await publisher.publish("cpu", {"n": n})
            await received.count(20)
    # Left, so drained.
    assert await tables.seqs() == list(range(1, 21))
    assert received.seqs == list(range(1, 21))


async def test_what_serve_can_not_begin_with_is_raised_on_entering(tmp_path: Path) -> None:
    with serving_process(tmp_path / "other", "--mode", "websocket") as other:
        taken = settings(tmp_path, listen=other.url.removeprefix("http://"))
        with pytest.raises(Transient, match="is taken by another program"):
            await Publisher(journal=tmp_path / "journal.db", serve=taken).__aenter__()
    # And nothing is left behind: the journal is free.
    async with Publisher(journal=tmp_path / "journal.db") as publisher:
        assert (await publisher.publish("cpu", {"n": 1})).seq == 1


async def test_a_service_that_is_cancelled_with_its_block_flushes_before_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    entered = asyncio.Event()
    publishing: list[asyncio.Task[Any]] = []

    async def service() -> None:
        async with Publisher(journal=path, serve=settings(tmp_path)) as publisher:
            publishing.extend(asyncio.create_task(publisher.publish("cpu", {"n": n})) for n in range(50))
            entered.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(service())
    await entered.wait()
    await until(lambda: publishing)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    published = await asyncio.gather(*publishing)
    assert [each.seq for each in published] == list(range(1, 51))
