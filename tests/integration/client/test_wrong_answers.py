"""The client in JavaScript before servers that answer wrongly: a clear error where no wait helps, else nothing is lost."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from migctl.config import Target
from migctl.journal.sqlite import SqliteJournal
from tests.kit.conditions import until
from tests.kit.deployed import deployed
from tests.kit.entries import event
from tests.kit.following import following
from tests.kit.meddling import Wrong, meddling
from tests.kit.served import serving

JSON = "application/json"
FRAMES: list[str | bytes] = [
    b"\x00\x01", "{", "null", "[]", "7",
    '{"type":"sys.assignment","data":{"transport":"pigeon","version":9}}',
    '{"type":"sys.assignment","data":null}', '{"type":"sys.fallback","data":{"to":"pigeon"}}', '{"type":"sys.hb","data":{}}',
    '{"type":"sys.hb","data":{"epoch":"x","head":"far"}}',
    '{"type":"cpu","id":"a","seq":"first"}', '{"type":"' + "x" * (8 << 20) + '"}',
]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "says", "todo"),
    [
        (Wrong(401, '{"error":"the token is not known"}', JSON), "the token is not known", "give a token"),
        (Wrong(403, '{"error":"not from here"}', JSON), "not from here", "give a token"),
        (Wrong(404), "HTTP 404", "give the address"),
        (Wrong(410, "{}", JSON), "HTTP 410", "give the address"),
        (Wrong(200), "assigns no transport", "give the address"),
        (Wrong(200, "null", JSON), "assigns no transport", "give the address"),
        (Wrong(200, '{"transport":"pigeon","epoch":"a"}', JSON), "assigns no transport", "give the address"),
        (Wrong(200, '{"transport":"websocket"}', JSON), "assigns no transport", "give the address"),
        (Wrong(200, '{"transport":"realtime","epoch":"a","channel":5}', JSON), "assigns no transport", "address"),
        (Wrong(200, '{"transport":"realtime","epoch":"a","fallback":7}', JSON), "assigns no transport", "address"),
    ],
    ids=lambda value: f"{value.status} {value.body[:40]}" if isinstance(value, Wrong) else "",
)  # fmt: skip
async def test_answer_that_no_wait_changes_ends_the_loop_and_says_what_to_do(
    wrong: Wrong, says: str, todo: str, tmp_path: Path
) -> None:
    async with serving(tmp_path) as served, meddling(served.url) as between:
        between.wrong["/api/transport"] = wrong
        async with following(between.url) as followed:
            assert len(followed.errors) == 1
        assert says in followed.errors[0]
        assert todo in followed.errors[0].splitlines()[-1]
        assert between.asked["/api/transport"] == 1, "it is not tried again"
        assert followed.last["retry"] is False


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("/api/transport", status) for status in (0, 1, 408, 429, 503)),
        ("/readyz", 503),
        ("/ws", 1),
        ("/ws", 429),
    ],
)
async def test_answer_that_a_wait_may_change_is_waited_for(path: str, status: int, tmp_path: Path) -> None:
    async with serving(tmp_path) as served, meddling(served.url) as between:
        between.wrong[path] = Wrong(status)

        async def mend() -> None:
            await until(lambda: between.asked[path] >= 2)
            del between.wrong[path]
            between.over.set()

        mending = asyncio.create_task(mend())
        async with following(between.url, waitS=30) as followed:
            await mending
            await served.journal.append([event() for _ in range(3)])
            await followed.count(3)
        assert followed.seqs == [1, 2, 3]


async def test_frames_that_are_none_of_ours_lose_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, meddling(served.url) as between:
        for frame in FRAMES:
            between.frames = [frame]
            async with following(between.url, position={"epoch": served.journal.epoch, "seq": 0}) as followed:
                between.frames = []
                await served.journal.append([event()])
                await followed.count(served.journal.head)
            assert followed.seqs == list(range(1, served.journal.head + 1)), frame[:60]


@pytest.mark.parametrize("hello", [{"epoch": 7}, {"head": "far"}, {"tail": None}, {"v": 3}], ids=json.dumps)
async def test_hello_that_is_none_ends_the_loop(hello: dict[str, object], tmp_path: Path) -> None:
    async with serving(tmp_path) as served, meddling(served.url) as between:
        data = {"v": 2, "epoch": "a", "head": 0, "tail": 1, "resume": "fresh", "reason": None} | hello
        between.hello = json.dumps({"type": "sys.hello", "data": data})
        async with following(between.url) as followed:
            assert "does not speak v2" in followed.errors[0]


@pytest.mark.parametrize(
    "wrong",
    [Wrong(200), Wrong(200, '[{"epoch":7,"seq":"x"}]', JSON), Wrong(401), Wrong(503)],
    ids=lambda wrong: f"{wrong.status} {wrong.body[:24]}",
)  # fmt: skip
async def test_tables_that_answer_wrongly_are_asked_again(
    wrong: Wrong, target: Target, journal: SqliteJournal
) -> None:
    async with (
        meddling(target.supabase_url) as between,
        deployed(journal, target, assigned="realtime") as server,
    ):
        server.target = replace(target, supabase_url=between.url)
        await server.stop_gateway()
        await server.start_gateway()
        between.wrong["/rest/v1/"] = wrong

        async def mend() -> None:
            await until(lambda: between.asked["/rest/v1/monitoring_heads"] >= 3)
            del between.wrong["/rest/v1/"]

        mending = asyncio.create_task(mend())
        async with following(server.url, waitS=30) as followed:
            await mending
            await journal.append([event() for _ in range(3)])
            await followed.count(3)
        assert followed.seqs == [1, 2, 3]
        assert followed.gaps == []
