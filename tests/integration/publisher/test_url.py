"""A publisher before a real `serve`, over sockets that fail."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from migctl import Published, Publisher
from migctl.clock import mono
from migctl.errors import Poison, Systemic, Transient, Usage
from migctl.faults import tcp_proxy
from migctl.journal import Conflict
from migctl.journal.sqlite.files import read_file
from migctl.publisher import PublisherState
from migctl.server.access.tokens import Tokens, mint_token
from migctl.stack.launcher import any_free_port
from tests.kit import needs
from tests.kit.conditions import until
from tests.kit.served import serving


def numbers(folder: Path) -> list[Any]:
    return [json.loads(entry.event.data)["n"] for entry in read_file(folder / "journal.db")]


async def test_an_event_that_is_published_is_durable_at_the_position_that_is_told(tmp_path: Path) -> None:
    text = b'{ "n": 1.10,\n "n2": 12345678901234567890123 }'
    async with serving(tmp_path) as served, Publisher(served.url, source="billing") as publisher:
        published = await publisher.publish("cpu", text, timestamp="2026-01-31T12:00:00Z")
        entry = (await served.journal.read(0))[0]
        assert published == Published(entry.epoch, 1, entry.event.id, duplicate=False)
        assert (entry.event.data, entry.event.source, entry.event.clock) == (text, "billing", None)
        assert await publisher.publish("cpu", {"n": 2}) == Published(
            entry.epoch, 2, (await served.journal.read(1))[0].event.id, duplicate=False
        )


async def test_published_again_with_its_id_it_is_the_same_event_at_the_same_seq(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, Publisher(served.url) as publisher:
        first = await publisher.publish("cpu", {"n": 1}, id="order-7")
        again = await publisher.publish("cpu", {"n": 1}, id="order-7")
        assert (again.seq, again.id, again.duplicate, first.duplicate) == (first.seq, first.id, True, False)
    assert numbers(tmp_path) == [1]


async def test_a_lost_answer_neither_loses_nor_doubles(tmp_path: Path) -> None:
    async with (
        serving(tmp_path) as served,
        tcp_proxy(served.port) as proxy,
        Publisher(proxy.url) as publisher,
    ):
        proxy.lose_next_answer_to(b'"n":5')
        published = await asyncio.gather(*(publisher.publish("cpu", {"n": n}) for n in range(10)))
        assert proxy.counts.cuts == 1
        assert [each.seq for each in published] == list(range(1, 11))
        assert not any(each.duplicate for each in published)
    assert numbers(tmp_path) == list(range(10))


async def test_a_conflict_is_its_callers_alone(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, Publisher(served.url) as publisher:
        await publisher.publish("cpu", {"n": 0}, id="taken")
        answers = await asyncio.gather(
            publisher.publish("cpu", {"n": 1}),
            publisher.publish("cpu", {"n": 2}, id="taken"),
            publisher.publish_many([{"event_type": "cpu", "data": {"n": 3}}] * 2),
            publisher.publish_many(
                [
                    {"event_type": "cpu", "data": {"n": 4}},
                    {"event_type": "cpu", "data": {"n": 5}, "id": "taken"},
                ]
            ),
            publisher.publish("cpu", {"n": 6}),
            return_exceptions=True,
        )
    assert [type(answer) for answer in answers] == [Published, Conflict, list, Conflict, Published]
    assert [index for conflict in (answers[1], answers[3]) for index, _ in conflict.conflicts] == [0, 1]  # type: ignore[union-attr]
    assert numbers(tmp_path) == [0, 1, 3, 3, 6]


@pytest.mark.parametrize(
    ("event_type", "data", "more", "names"),
    [
        ("sys.x", {}, {}, "event_type"),
        ("", {}, {}, "event_type"),
        ("cpu", [1], {}, "data"),
        ("cpu", {"a": object()}, {}, "data"),
        ("cpu", b'{"a":', {}, "data"),
        ("cpu", {"pad": "x" * (1 << 20)}, {}, "data"),
        ("cpu", {}, {"timestamp": 81234.56}, "timestamp"),
        ("cpu", {}, {"timestamp": "soon"}, "timestamp"),
        ("cpu", {}, {"id": ""}, "id"),
    ],
)
async def test_an_event_that_can_not_be_is_refused_by_name_before_anything_is_sent(
    event_type: str, data: Any, more: dict[str, Any], names: str
) -> None:
    async with Publisher(f"http://127.0.0.1:{any_free_port()}") as publisher:
        with pytest.raises(Poison, match=f"can't be published: {names}: "):
            await publisher.publish(event_type, data, **more)
        with pytest.raises(Poison):
            await publisher.publish_many(
                [{"event_type": "cpu", "data": {}}, {"event_type": event_type, "data": data, **more}]
            )  # type: ignore[typeddict-item]


async def test_what_json_holds_and_postgres_does_not_is_published(tmp_path: Path) -> None:
    awkward: list[Any] = [{"n": 2**70}, {"n": "\ud800"}, {"n": "\0"}, b'{"n":1e400000}']
    async with serving(tmp_path) as served, Publisher(served.url) as publisher:
        await asyncio.gather(*(publisher.publish("cpu", data) for data in awkward))
        assert served.journal.head == 4


async def test_a_server_that_refuses_an_event_by_index_refuses_its_caller_only(tmp_path: Path) -> None:
    """Such as a server of another release, whose rules are stricter than ours."""

    def strict(request: httpx.Request) -> httpx.Response | httpx.Request:
        sent = json.loads(request.content)
        wrong = [
            {"index": index, "id": one["id"], "field": "data", "code": "odd", "reason": "is odd"}
            for index, one in enumerate(sent)
            if one["data"]["n"] % 2
        ]
        return httpx.Response(422, json={"errors": wrong}) if wrong else request

    async with serving(tmp_path) as served:
        with respx.mock:
            respx.post(url__startswith=served.url).mock(side_effect=strict)
            async with Publisher(served.url) as publisher:
                answers = await asyncio.gather(
                    *(publisher.publish("cpu", {"n": n}) for n in range(6)), return_exceptions=True
                )
    assert [isinstance(answer, Poison) for answer in answers] == [False, True] * 3
    assert "is refused: data: is odd (odd)" in str(answers[1])
    assert numbers(tmp_path) == [0, 2, 4]


async def test_a_proxy_that_takes_small_requests_only_gets_small_ones_in_order(tmp_path: Path) -> None:
    """As nginx does, with 1 MiB, and a page of its own."""
    bodies: list[int] = []

    def small(request: httpx.Request) -> httpx.Response | httpx.Request:
        bodies.append(len(request.content))
        return httpx.Response(413, html="<h1>413</h1>") if bodies[-1] > 20_000 else request

    async with serving(tmp_path) as served:
        with respx.mock:
            respx.post(url__startswith=served.url).mock(side_effect=small)
            async with Publisher(served.url) as publisher:
                await asyncio.gather(
                    *(publisher.publish("cpu", {"n": n, "pad": "x" * 500}) for n in range(200))
                )
                refused = len([size for size in bodies if size > 20_000])
                await asyncio.gather(
                    *(publisher.publish("cpu", {"n": n, "pad": "x" * 500}) for n in range(200, 400))
                )
                assert len([size for size in bodies if size > 20_000]) == refused
                with pytest.raises(Poison, match="413"):
                    await publisher.publish("cpu", {"n": -1, "pad": "x" * 30_000})
    assert numbers(tmp_path) == list(range(400))


async def test_a_server_that_is_not_ready_is_asked_again_when_it_said(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, Publisher(served.url) as publisher:
        served.refusing[0] = "draining"
        began = mono()
        publishing = asyncio.create_task(publisher.publish("cpu", {"n": 1}))
        await until(lambda: publisher.waiting_for)
        assert "draining" in str(publisher.waiting_for)
        served.refusing[0] = None
        assert (await publishing).seq == 1
        assert mono() - began >= 1.0  # its Retry-After
        assert publisher.waiting_for is None


async def test_a_rate_limit_is_waited_for(tmp_path: Path) -> None:
    from migctl.config import Settings

    limited = Settings.model_validate({"ingest": {"max_events_per_second": 20}})
    async with serving(tmp_path, settings=limited) as served, Publisher(served.url) as publisher:
        for n in range(22):
            await publisher.publish("cpu", {"n": n})
    assert numbers(tmp_path) == list(range(22))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    step = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    made = subprocess.run(step, check=False, capture_output=True, text=True)
    if made.returncode:
        needs.right(f"to mount: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def test_a_full_disk_makes_publishers_wait_and_loses_nothing(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (3 << 20))
    async with serving(small_disk) as served, Publisher(served.url, max_waiting_events=50) as publisher:
        publishing = [
            asyncio.create_task(publisher.publish("cpu", {"n": n, "pad": "x" * 4000})) for n in range(350)
        ]
        await until(lambda: publisher.waiting_for)
        assert "disk is full" in str(publisher.waiting_for)
        assert publisher.waiting_events == 50
        ballast.unlink()
        published = await asyncio.gather(*publishing)
        assert [each.seq for each in published] == list(range(1, 351))
        assert served.journal.head == 350
    assert numbers(small_disk) == list(range(350))


async def test_ten_thousand_at_once_stay_within_the_bound_and_keep_their_order(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, Publisher(served.url, max_waiting_events=300) as publisher:
        published = await asyncio.gather(*(publisher.publish("cpu", {"n": n}) for n in range(10_000)))
        assert publisher.most_waiting_events == 300
        assert publisher.waiting_events == 0
    assert [each.seq for each in published] == list(range(1, 10_001))
    assert numbers(tmp_path) == list(range(10_000))


async def test_one_that_is_cancelled_takes_none_of_its_neighbours_along(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, Publisher(served.url, max_waiting_events=4) as publisher:
        served.refusing[0] = "draining"
        publishing = [asyncio.create_task(publisher.publish("cpu", {"n": n})) for n in range(6)]
        await until(lambda: publisher.waiting_for)
        for cancelled in (1, 5):  # one that was sent, one that stands in line
            publishing[cancelled].cancel()
        await asyncio.wait([publishing[1], publishing[5]])
        served.refusing[0] = None
        answers = await asyncio.gather(*publishing, return_exceptions=True)
        assert publisher.waiting_events == 0
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [
        n in (1, 5) for n in range(6)
    ]
    assert numbers(tmp_path) == [0, 2, 3, 4]


async def test_one_that_is_cancelled_while_its_request_is_away_is_durable_and_its_neighbours_are_told(
    tmp_path: Path,
) -> None:
    async with (
        serving(tmp_path) as served,
        tcp_proxy(served.port) as proxy,
        Publisher(proxy.url, request_timeout_s=0.5) as publisher,
    ):
        proxy.swallow_answers()
        publishing = [asyncio.create_task(publisher.publish("cpu", {"n": n})) for n in range(3)]
        await until(lambda: served.journal.head == 3)
        publishing[1].cancel()
        proxy.swallow_answers(False)
        answers = await asyncio.gather(*publishing, return_exceptions=True)
    assert [answer.seq for answer in answers if isinstance(answer, Published)] == [1, 3]
    assert numbers(tmp_path) == [0, 1, 2]


async def test_without_a_server_the_caller_is_told_after_give_up_and_the_id_is_named() -> None:
    async with Publisher(f"http://127.0.0.1:{any_free_port()}", give_up_s=0.3) as publisher:
        with pytest.raises(
            Transient, match=r"event x \(55628391-.*\) was not acknowledged within 0\.3 s"
        ) as told:
            await publisher.publish("cpu", {}, id="x")
        assert "publish it again with this id" in told.value.do


async def test_leaving_the_block_says_how_many_were_not_acknowledged() -> None:
    publisher = Publisher(f"http://127.0.0.1:{any_free_port()}", flush_s=0.2, max_waiting_events=5)
    publishing: list[asyncio.Task[Any]] = []
    with pytest.raises(Transient, match=r"^8 events were not acknowledged"):
        async with publisher:
            publishing += [asyncio.create_task(publisher.publish("cpu", {"n": n})) for n in range(8)]
            await until(lambda: publisher.waiting_for)
    answers = await asyncio.gather(*publishing, return_exceptions=True)
    assert {type(answer) for answer in answers} == {Transient}


async def test_leaving_the_block_sees_through_what_was_accepted_or_stood_in_line(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        served.refusing[0] = "draining"
        async with Publisher(served.url, max_waiting_events=5) as publisher:
            publishing = [asyncio.create_task(publisher.publish("cpu", {"n": n})) for n in range(12)]
            await until(lambda: publisher.waiting_for)
            served.refusing[0] = None
        assert all(task.done() for task in publishing)
        with pytest.raises(Usage, match="was left"):
            await publisher.publish("cpu", {})
    assert numbers(tmp_path) == list(range(12))


async def test_a_token_that_is_not_for_publishing_is_told_to_each_caller(tmp_path: Path) -> None:
    token, entry = mint_token("ingest", "billing")
    other, other_entry = mint_token("subscribe", "page")
    async with serving(tmp_path, tokens=Tokens((entry, other_entry))) as served:
        for wrong in (None, other, "no such"):
            async with Publisher(served.url, token=wrong) as publisher:
                with pytest.raises(Systemic, match=r"HTTP 40[13]"):
                    await publisher.publish("cpu", {"n": 0})
        async with Publisher(served.url, token=token) as publisher:
            assert (await publisher.publish("cpu", {"n": 1})).seq == 1


async def test_something_else_that_answers_there_is_not_taken_for_serve() -> None:
    with respx.mock:
        respx.post("http://127.0.0.1:9/events").mock(httpx.Response(201, html="<h1>created</h1>"))
        async with Publisher("http://127.0.0.1:9") as publisher:
            with pytest.raises(Usage, match="201 without what was stored"):
                await publisher.publish("cpu", {})


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"url": "http://127.0.0.1:1", "journal": "j"},
        {"url": "http://127.0.0.1:1", "serve": "dual"},
        {"journal": "j", "token": "t"},
        {"url": "ftp://127.0.0.1:8080"},
    ],
)
def test_arguments_that_can_not_be_meant_are_refused_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(Usage):
        Publisher(**arguments)


async def test_it_says_whether_serve_is_away_and_since_when(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[PublisherState] = []
    async with serving(tmp_path) as served:
        publisher = Publisher(served.url, on_state=heard.append)
        assert publisher.state.name == "new"
        async with publisher:
            await publisher.publish("cpu", {"n": 1})
            served.refusing[0] = "draining"
            publishing = asyncio.create_task(publisher.publish("cpu", {"n": 2}))
            await until(lambda: publisher.state.name == "away")
            away = publisher.state
            assert "draining" in str(away.reason)
            served.refusing[0] = None
            await publishing
            assert publisher.state.name == "open"
            assert publisher.state.since >= away.since
    assert [state.name for state in heard] == ["open", "away", "open", "left"]
    # By the logging of the standard library, for a service that has set up no other.
    assert ("migctl.publisher", "WARNING") in [(one.name, one.levelname) for one in caplog.records]


async def test_a_process_that_forked_is_sent_to_a_publisher_of_its_own(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, Publisher(served.url) as publisher:
        await publisher.publish("cpu", {"n": 1})
        child = os.fork()
        if child == 0:
            try:
                publisher.publish_threadsafe("cpu", {"n": 2})
            except Usage as error:
                os._exit(7 if "after the fork" in str(error.do) else 8)
            os._exit(9)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 7
        assert (await publisher.publish("cpu", {"n": 3})).seq == 2
    assert numbers(tmp_path) == [1, 3]


async def test_more_than_it_may_hold_is_refused_as_a_whole(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, Publisher(served.url, max_waiting_events=10) as publisher:
        with pytest.raises(Usage, match="11 events"):
            await publisher.publish_many([{"event_type": "cpu", "data": {"n": n}} for n in range(11)])
        assert await publisher.publish_many([]) == []
        assert served.journal.head == 0
