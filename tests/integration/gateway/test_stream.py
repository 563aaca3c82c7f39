"""What subscribers get over real sockets from a real journal: order, resume, closing, and nothing that legacy clients notice."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from migctl.transports.wire import ASK
from tests.kit.served import DEADLINE_S, Served, event, serving, until


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as it:
        yield it


async def frame(ws: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(DEADLINE_S):
        told: dict[str, Any] = json.loads(await ws.recv())
    return told


async def next_seqs(ws: ClientConnection, last: int) -> list[int]:
    """Seqs of event frames until `last`; control frames in between are passed over."""
    got: list[int] = []
    while not got or got[-1] < last:
        told = await frame(ws)
        if "seq" in told:
            got.append(told["seq"])
    return got


async def closed_with(ws: ClientConnection) -> int | None:
    async with asyncio.timeout(DEADLINE_S):
        try:
            while True:
                await ws.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


async def attached(served: Served, count: int) -> None:
    await until(lambda: served.gateway.status().subscribers == count)


async def test_hello_comes_first_and_tells_an_empty_journal(served: Served) -> None:
    async with connect(served.ws_url + "?v=2") as ws:
        hello = await frame(ws)
        assert list(hello) == ["type", "data", "timestamp"]
        assert hello["type"] == "sys.hello"
        assert hello["data"] == {
            "v": 2,
            "epoch": served.journal.epoch,
            "head": 0,
            "tail": 1,
            "resume": "fresh",
            "reason": None,
            "heartbeat_s": 5.0,
            "asks": True,
        }
        assert (await frame(ws))["data"] == {"seq": 0}


async def test_who_asks_hears_where_the_journal_is_and_who_asks_all_the_time_now_and_then(
    served: Served,
) -> None:
    async with connect(served.ws_url + "?v=2") as ws:
        assert [(await frame(ws))["type"] for _ in range(2)] == ["sys.hello", "sys.caught_up"]
        for _ in range(1000):
            await ws.send(ASK, text=True)
        assert await frame(ws) == {"type": "sys.hb", "data": ANY, "timestamp": ANY}
        await served.journal.append([event()])
        frames = [await frame(ws)]
        while frames[-1].get("seq") is None:
            frames.append(await frame(ws))
        assert len(frames) < 100


async def test_no_other_word_and_no_other_socket_is_answered(served: Served) -> None:
    async with connect(served.ws_url) as legacy, connect(served.ws_url + "?v=2") as ws:
        assert [(await frame(ws))["type"] for _ in range(2)] == ["sys.hello", "sys.caught_up"]
        await legacy.send(ASK, text=True)
        for word in ('{"type": "sys.ask"}', "{}", "x" * 1000):
            await ws.send(word)
        await ws.send(ASK)  # no text
        for socket in (legacy, ws):
            await (await socket.ping())  # what was sent before it was read
        await served.journal.append([event()])
        assert (await frame(legacy))["type"] == (await frame(ws))["type"] == event().event_type


async def test_subprotocol_opts_in_and_is_confirmed(served: Served) -> None:
    async with connect(served.ws_url, subprotocols=["other", "migctl.v2"]) as ws:  # type: ignore[list-item]
        assert ws.subprotocol == "migctl.v2"
        assert (await frame(ws))["type"] == "sys.hello"


async def test_compression_is_not_negotiated(served: Served) -> None:
    async with connect(served.ws_url + "?v=2", compression="deflate") as ws:
        assert ws.response is not None
        assert "Sec-WebSocket-Extensions" not in ws.response.headers


async def test_fresh_reader_starts_at_exactly_the_event_after_the_head_it_was_told(served: Served) -> None:
    await served.journal.append([event() for _ in range(7)])
    async with connect(served.ws_url + "?v=2") as ws:
        assert (await frame(ws))["data"]["head"] == 7
        await served.journal.append([event() for _ in range(3)])
        assert await next_seqs(ws, 10) == [8, 9, 10]


async def test_reader_that_comes_while_delivery_lags_gets_nothing_twice_and_misses_nothing(
    tmp_path: Path,
) -> None:
    start = asyncio.Event()
    async with serving(tmp_path, start=start) as served:
        await served.journal.append([event() for _ in range(7)])
        resume = f"{served.ws_url}?v=2&epoch={served.journal.epoch}&after=4"
        async with (
            connect(served.ws_url + "?v=2") as fresh,
            connect(resume) as resumed,
            connect(served.ws_url) as old,
        ):
            for ws in (fresh, resumed):
                assert (await frame(ws))["data"]["head"] == 7
            await attached(served, 3)
            start.set()
            await served.journal.append([event(b'{"last":1}')])
            assert await next_seqs(fresh, 8) == [8]
            assert await next_seqs(resumed, 8) == [5, 6, 7, 8]
            assert (await frame(old))["data"] == {"last": 1}


async def test_resumed_reader_gets_what_it_missed_then_caught_up_then_live(served: Served) -> None:
    await served.journal.append([event() for _ in range(7)])
    async with connect(f"{served.ws_url}?v=2&epoch={served.journal.epoch}&after=4") as ws:
        assert (await frame(ws))["data"]["resume"] == "recovered"
        assert [(await frame(ws))["seq"] for _ in range(3)] == [5, 6, 7]
        told = await frame(ws)
        assert (told["type"], told["data"]) == ("sys.caught_up", {"seq": 7})
        await served.journal.append([event()])
        assert (await frame(ws))["seq"] == 8


@pytest.mark.parametrize(("epoch", "after", "reason"), [("other", 3, "epoch"), (None, 8, "ahead")])
async def test_unrecoverable_reader_is_told_why_and_goes_on_live_from_the_head(
    served: Served, epoch: str | None, after: int, reason: str
) -> None:
    await served.journal.append([event() for _ in range(7)])
    async with connect(f"{served.ws_url}?v=2&epoch={epoch or served.journal.epoch}&after={after}") as ws:
        told = (await frame(ws))["data"]
        assert (told["resume"], told["reason"]) == ("unrecoverable", reason)
        await served.journal.append([event()])
        assert await next_seqs(ws, 8) == [8]


async def test_bad_position_is_refused_before_the_socket_opens(served: Served) -> None:
    answer = await served.http.get("/ws?v=2&after=3")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "epoch")


@pytest.mark.parametrize(
    ("legacy_frame", "expected"),
    [
        (
            "envelope",
            b'{"type":"cache_metrics","data":{ "hit": 1.50,\n"k":"\\ud800"},"timestamp":"2026-01-31T12:00:00.250000Z"}',
        ),
        ("data", b'{ "hit": 1.50,\n"k":"\\ud800"}'),
    ],
)
async def test_legacy_frames_are_byte_exact_and_nothing_else_is_sent(
    tmp_path: Path, legacy_frame: str, expected: bytes
) -> None:
    # A cache-busting query is no opt-in.
    async with (
        serving(tmp_path, legacy_frame=legacy_frame, heartbeat_s=0.02) as served,
        connect(served.ws_url + "?v=1700000000") as ws,
        connect(served.ws_url + "?v=2") as other,
    ):
        await attached(served, 2)
        await served.journal.append(
            [event(event_type="sys.marker"), event(b'{ "hit": 1.50,\n"k":"\\ud800"}')]
        )
        async with asyncio.timeout(DEADLINE_S):
            assert await ws.recv(decode=False) == expected
        served.gateway.announce("realtime", "websocket", "test")
        while (await frame(other))["type"] != "sys.fallback":
            pass
        while (await frame(other))["type"] != "sys.hb":
            pass
        await served.journal.append([event(event_type="sys.marker"), event(b'{"after":"heartbeat"}')])
        async with asyncio.timeout(DEADLINE_S):
            assert b"heartbeat" in await ws.recv(decode=False)


async def test_control_events_have_a_seq_frame_on_v2(served: Served) -> None:
    async with connect(served.ws_url + "?v=2") as ws:
        await frame(ws)
        await frame(ws)
        await served.journal.append([event(event_type="sys.marker")])
        told = await frame(ws)
        assert (told["type"], told["seq"]) == ("sys.marker", 1)


async def test_standby_gets_hello_heartbeats_and_fallback_but_no_events(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, heartbeat_s=0.05) as served,
        connect(served.ws_url + "?v=2&role=standby") as ws,
    ):
        assert (await frame(ws))["type"] == "sys.hello"
        await served.journal.append([event() for _ in range(5)])
        beat = await frame(ws)
        while beat["data"]["head"] < 5:
            beat = await frame(ws)
        assert (beat["type"], beat["data"]) == ("sys.hb", {"epoch": served.journal.epoch, "head": 5})
        assert served.gateway.status().subscribers == 0
        served.gateway.announce("realtime", "websocket", "breaker open")
        told = await frame(ws)
        while told["type"] == "sys.hb":
            told = await frame(ws)
        assert told["type"] == "sys.fallback"
        assert told["data"] == {"from": "realtime", "to": "websocket", "reason": "breaker open"}
        # Who comes while it lasts is told at once.
        async with connect(served.ws_url + "?v=2&role=standby") as late:
            assert [(await frame(late))["type"] for _ in range(2)] == ["sys.hello", "sys.fallback"]


async def test_what_clients_say_breaks_nothing(served: Served) -> None:
    for query in ("", "?v=2"):
        async with connect(served.ws_url + query) as ws:
            await attached(served, 1)
            for said in ('{"command":"get_stats"}', "no json", b"\x00\xff", '{"command":"unknown"}', ""):
                await ws.send(said)
            async with asyncio.timeout(DEADLINE_S):
                await (await ws.ping(b"payload"))
            await served.journal.append([event()])
            told = await frame(ws)
            while told["type"].startswith("sys."):
                told = await frame(ws)
            assert told["type"] == "cache_metrics"
        await attached(served, 0)


async def test_burst_reaches_every_subscriber_equal_and_in_order(served: Served) -> None:
    async with asyncio.timeout(60):
        sockets = [await connect(served.ws_url + "?v=2", max_queue=None) for _ in range(20)]
        legacy = [await connect(served.ws_url, max_queue=None) for _ in range(2)]
        await attached(served, 22)
        for n in range(100):
            await served.journal.append([event(b'{"n":%d}' % (10 * n + i)) for i in range(10)])
        results = await asyncio.gather(*(next_seqs(ws, 1000) for ws in sockets))
        assert all(seqs == list(range(1, 1001)) for seqs in results)
        for ws in legacy:
            assert [(await frame(ws))["data"]["n"] for _ in range(1000)] == list(range(1000))
        for ws in [*sockets, *legacy]:
            await ws.close()


async def test_pongs_never_fall_into_the_middle_of_a_frame(served: Served) -> None:
    async with asyncio.timeout(60), connect(served.ws_url + "?v=2", max_queue=None, max_size=None) as ws:

        async def ping() -> None:
            for n in range(300):
                await (await ws.ping(b"%d" % n))

        async def publish() -> None:
            for _ in range(60):
                await served.journal.append([event(b'{"x":"%b"}' % (b"y" * 100_000))])

        seqs, _, _ = await asyncio.gather(next_seqs(ws, 60), ping(), publish())
        assert seqs == list(range(1, 61))


async def test_slow_subscriber_is_closed_as_resumable_and_nobody_else_notices(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(60),
        serving(tmp_path, max_queue_bytes=64 << 10, grace_s=30.0) as served,
        connect(served.ws_url + "?v=2", max_queue=1, compression=None) as slow,
        connect(served.ws_url + "?v=2", max_queue=None) as quick,
    ):
        await attached(served, 2)
        assert (await frame(quick))["type"] == "sys.hello"
        assert (await frame(quick))["type"] == "sys.caught_up"
        count = 0
        while 4408 not in served.gateway.status().closing_by_code:
            count += 1
            assert count < 2000, "the queue is not bounded"
            await served.journal.append([event(b'{"x":"%b"}' % (b"y" * 100_000))])
            assert (await frame(quick))["seq"] == count
        got: list[int] = []
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                told = json.loads(await slow.recv())
                if "seq" in told:
                    got.append(told["seq"])
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4408
        assert got == list(range(1, len(got) + 1))
        assert len(got) < count
        async with connect(f"{served.ws_url}?v=2&epoch={served.journal.epoch}&after={got[-1]}") as again:
            assert await next_seqs(again, count) == list(range(got[-1] + 1, count + 1))
        await served.journal.append([event()])
        assert await next_seqs(quick, count + 1) == [count + 1]


async def test_reader_that_stops_while_it_catches_up_is_closed_as_slow(tmp_path: Path) -> None:
    async with asyncio.timeout(60), serving(tmp_path, stall_s=0.2, grace_s=30.0) as served:
        for _ in range(300):
            await served.journal.append([event(b'{"x":"%b"}' % (b"y" * 100_000))])
        async with connect(f"{served.ws_url}?v=2&epoch={served.journal.epoch}&after=0", max_queue=1) as slow:
            await until(lambda: 4408 in served.gateway.status().closing_by_code)
            got: list[int] = []
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    told = json.loads(await slow.recv())
                    if "seq" in told:
                        got.append(told["seq"])
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4408
        assert got == list(range(1, len(got) + 1))


async def test_half_open_socket_is_closed_with_4409(tmp_path: Path) -> None:
    async with asyncio.timeout(60), serving(tmp_path, heartbeat_s=0.02, grace_s=0.1) as served:
        reader, writer = await asyncio.open_connection(served.host, served.port)
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        said = await reader.read()  # it answers no ping; the end comes from the other side
        assert said.startswith(b"HTTP/1.1 101")
        assert b"\x89\x00" in said
        assert b"\x11\x39no answer to pings" in said  # 4409
        await attached(served, 0)
        writer.close()


async def test_client_that_answers_pings_stays(tmp_path: Path) -> None:
    async with serving(tmp_path, heartbeat_s=0.2) as served, connect(served.ws_url + "?v=2") as ws:
        for _ in range(15):  # several times what a silent client is given
            while (await frame(ws))["type"] != "sys.hb":
                pass
        assert served.gateway.status().subscribers == 1


async def test_drain_delivers_the_rest_and_closes_everybody_with_1012(served: Served) -> None:
    async with connect(served.ws_url + "?v=2") as v2, connect(served.ws_url) as legacy:
        await attached(served, 2)
        await served.journal.append([event() for _ in range(50)])
        codes = asyncio.gather(closed_with(legacy), next_seqs(v2, 50))
        assert await served.gateway.drain(DEADLINE_S) == 0
        code, seqs = await codes
        assert (code, seqs) == (1012, list(range(1, 51)))
        assert await closed_with(v2) == 1012
        async with connect(served.ws_url) as late:
            assert await closed_with(late) == 1012


async def test_drain_tells_how_many_did_not_leave(served: Served) -> None:
    _, writer = await asyncio.open_connection(served.host, served.port)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await attached(served, 1)
    assert await served.gateway.drain(0.05) == 1
    writer.close()


async def test_client_close_is_answered_with_its_code(served: Served) -> None:
    ws = await connect(served.ws_url + "?v=2")
    await ws.close(4000, "bye")
    assert ws.close_code == 4000
    await attached(served, 0)


@settings(max_examples=12, deadline=None)
@given(
    before=st.integers(0, 60),
    groups=st.lists(st.integers(1, 30), min_size=1, max_size=12),
    cuts=st.lists(st.integers(1, 40), max_size=3),
    start=st.integers(0, 60),
    size=st.sampled_from([2, 1000, 60_000]),
)
async def test_resumed_reader_gets_one_contiguous_run_whatever_is_published_meanwhile(
    before: int, groups: list[int], cuts: list[int], start: int, size: int
) -> None:
    data = b'{"x":"%b"}' % (b"y" * size)
    with tempfile.TemporaryDirectory() as folder:
        async with asyncio.timeout(60), serving(Path(folder)) as served:
            await served.journal.append([event(data) for _ in range(before)])
            position = min(start, before)
            got = list(range(1, position + 1))
            last = before + sum(groups)

            async def publish() -> None:
                for count in groups:
                    await served.journal.append([event(data) for _ in range(count)])

            publishing = asyncio.create_task(publish())
            # The reader is cut off after so many events, and comes back at its position, while publishing goes on.
            for cut in [*cuts, last]:
                url = f"{served.ws_url}?v=2&epoch={served.journal.epoch}&after={len(got)}"
                async with connect(url, max_size=None, max_queue=None) as ws:
                    hello = await frame(ws)
                    assert hello["data"]["resume"] == "recovered"
                    until_seq = min(len(got) + cut, last)
                    if len(got) < until_seq:
                        got += await next_seqs(ws, until_seq)
                    ws.transport.abort()
            await publishing
            assert got == list(range(1, last + 1))
