"""Sockets of the old protocol, passed through to an old service that is a real server of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from migctl.config import Settings
from migctl.server.access.tokens import Tokens, mint_token
from migctl.transports.websocket import Upstream
from tests.kit.old_service import FLAT, WRAPPED, OldService, front, old_service
from tests.kit.served import DEADLINE_S, Served, event, serving, until


@pytest.fixture
async def old() -> AsyncIterator[OldService]:
    async with old_service() as it:
        yield it


@pytest.fixture
async def served(tmp_path: Path, old: OldService) -> AsyncIterator[Served]:
    async with serving(tmp_path, front=front(old.url), grace_s=0.5) as it:
        yield it


async def heard(ws: ClientConnection) -> str | bytes:
    async with asyncio.timeout(DEADLINE_S):
        return await ws.recv()


async def closed(ws: ClientConnection) -> tuple[int | None, str]:
    async with asyncio.timeout(DEADLINE_S):
        try:
            while True:
                await ws.recv()
        except ConnectionClosed as gone:
            return (gone.rcvd.code, gone.rcvd.reason) if gone.rcvd else (None, "")


async def test_dashboard_gets_greeting_replies_and_events_as_the_old_service_wrote_them(
    served: Served, old: OldService
) -> None:
    async with connect(served.ws_url) as ws:
        assert json.loads(await heard(ws))["type"] == "initial_stats"
        await ws.send('{"command":"get_stats","connection_type":"redis"}')
        assert json.loads(await heard(ws))["answers"]["connection_type"] == "redis"
        for frame in (FLAT, WRAPPED, "x" * 200_000, b"\x00\xff\x01", ""):
            await old.publish(frame)
            assert await heard(ws) == frame
        await ws.send(b"\x01\x02\xff")
        assert await heard(ws) == b"\xff\x02\x01"
        # What the journal has is not for this socket.
        await served.journal.append([event()])
        await old.publish(FLAT)
        assert await heard(ws) == FLAT
        assert served.gateway.status().subscribers_piped == 1


async def test_socket_with_v2_is_ours_and_the_old_service_never_hears_of_it(
    served: Served, old: OldService
) -> None:
    async with connect(served.ws_url + "?v=2") as ws:
        assert json.loads(await heard(ws))["type"] == "sys.hello"
        await heard(ws)
        await served.journal.append([event(b'{"n":1}')])
        assert json.loads(await heard(ws))["seq"] == 1
    assert old.requests == []


async def test_query_subprotocol_and_headers_go_along(served: Served, old: OldService) -> None:
    async with connect(
        served.ws_url + "?room=a%20b&v=1",
        subprotocols=["other", "stats.v1"],  # type: ignore[list-item]
        additional_headers={"Cookie": "session=1", "Authorization": "Basic eA=="},
        user_agent_header="dash/1",
    ) as ws:
        await heard(ws)
        assert ws.subprotocol == "stats.v1"
    [request] = old.requests
    assert request.path == "/ws?room=a%20b&v=1"
    assert [
        request.headers[name] for name in ("Cookie", "Authorization", "User-Agent", "X-Forwarded-For")
    ] == [
        "session=1",
        "Basic eA==",
        "dash/1",
        "127.0.0.1",
    ]
    assert request.headers["Host"] == old.url.split("/")[2]


@pytest.mark.parametrize(
    ("offers", "chosen"), [(("other", "stats.v1"), "stats.v1"), (("other", "x, migctl.v2"), "migctl.v2")]
)
async def test_subprotocols_in_several_headers_are_one_offer(
    served: Served, old: OldService, offers: Sequence[str], chosen: str
) -> None:
    request = [
        "GET /ws HTTP/1.1", f"Host: {served.host}:{served.port}", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *(f"Sec-WebSocket-Protocol: {offer}" for offer in offers), "", "",
    ]  # fmt: skip
    reader, writer = await asyncio.open_connection(served.host, served.port)
    writer.write("\r\n".join(request).encode())
    async with asyncio.timeout(DEADLINE_S):
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        first = await reader.readexactly(2)
    writer.close()
    assert f"Sec-WebSocket-Protocol: {chosen}\r\n" in answer
    assert first[0] == 0x81
    assert len(old.requests) == (chosen == "stats.v1")


async def test_token_of_ours_never_reaches_the_old_service(tmp_path: Path, old: OldService) -> None:
    text, token = mint_token("ingest", "a")
    settings = Settings(legacy={"open": True})  # type: ignore[arg-type]
    async with (
        serving(tmp_path, settings=settings, front=front(old.url), tokens=Tokens((token,))) as served,
        connect(served.ws_url, additional_headers={"Authorization": f"Bearer {text}"}) as ws,
    ):
        await heard(ws)
    assert text not in str(old.requests[0].headers)


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "restart"), (3000, "come back"), (4999, "x" * 100)]
)
async def test_code_and_reason_of_the_old_service_reach_the_dashboard(
    served: Served, old: OldService, code: int, reason: str
) -> None:
    async with connect(served.ws_url) as ws:
        await heard(ws)
        await old.publish("last words")
        await old.close(code, reason)
        assert await heard(ws) == "last words"
        assert await closed(ws) == (code, reason)
    await until(lambda: not served.gateway.status().subscribers)
    assert served.gateway.status().closed_by_code == {code: 1}


@pytest.mark.parametrize(("code", "reason"), [(1000, "bye"), (4001, "tab closed")])
async def test_code_and_reason_of_the_dashboard_reach_the_old_service(
    served: Served, old: OldService, code: int, reason: str
) -> None:
    ws = await connect(served.ws_url)
    await heard(ws)
    await ws.close(code, reason)
    await until(lambda: bool(old.closed_with))
    assert old.closed_with == [(code, reason)]


async def test_dashboard_that_vanishes_leaves_no_socket_at_the_old_service(
    served: Served, old: OldService
) -> None:
    ws = await connect(served.ws_url)
    await heard(ws)
    ws.transport.abort()
    await until(lambda: bool(old.closed_with))
    assert not old.clients


@pytest.mark.parametrize("code", [5000, 65535])
async def test_code_that_nobody_may_send_is_an_error_of_the_protocol_to_both(
    served: Served, old: OldService, code: int
) -> None:
    ws = await connect(served.ws_url)
    await heard(ws)
    ws.transport.write(b"\x88\x82\0\0\0\0" + code.to_bytes(2))
    assert (await closed(ws))[0] == 1002
    await until(lambda: bool(old.closed_with))
    assert old.closed_with == [(1002, "")]
    await until(lambda: not served.gateway.status().subscribers)


@pytest.mark.parametrize("stays", [False, True])
async def test_old_service_that_takes_nothing_keeps_no_socket_of_a_client(
    tmp_path: Path, stays: bool
) -> None:
    """A client that says much, and goes or stays, while the old service does not read."""

    async def deaf(client: ServerConnection) -> None:
        client.transport.pause_reading()
        await client.wait_closed()

    async with serve(deaf, "127.0.0.1", 0, ping_interval=None, close_timeout=0.1) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with (
            serving(tmp_path, front=front(Upstream(url, pass_within_s=0.3)), grace_s=0.5) as served,
            connect(served.ws_url, ping_interval=None) as ws,
        ):
            await until(lambda: served.gateway.status().subscribers_piped == 1)
            saying = asyncio.create_task(_say(ws))
            try:
                await until(lambda: ws.transport.get_write_buffer_size() > 0)
                if not stays:
                    ws.transport.abort()
                await until(lambda: not served.gateway.status().subscribers_piped)
                await until(lambda: not served.gateway.subscribers().subscribers)
                assert not stays or (await closed(ws))[0] in (1012, None)
            finally:
                saying.cancel()
                await asyncio.wait([saying])


async def _say(ws: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await ws.send(bytes(1 << 20))


async def test_old_service_that_breaks_off_closes_the_dashboard_with_1012(
    served: Served, old: OldService
) -> None:
    async with connect(served.ws_url) as ws:
        await heard(ws)
        old.cut()
        assert await closed(ws) == (1012, "the old service is away")


async def test_old_service_that_is_away_closes_with_1012_and_comes_back_by_itself(tmp_path: Path) -> None:
    async with old_service() as old:
        port = int(old.url.split(":")[2].split("/")[0])
    async with serving(tmp_path, front=front(old.url)) as served:
        async with connect(served.ws_url, subprotocols=["stats.v1"]) as ws:  # type: ignore[list-item]
            assert (await closed(ws))[0] == 1012
        told = served.gateway.status().upstream
        assert (told.failures, told.url) == (1, old.url)
        assert told.reason
        async with old_service(port), connect(served.ws_url) as ws:
            await heard(ws)
            assert served.gateway.status().upstream.reason is None


async def test_client_that_the_old_service_does_not_want_gets_its_answer(served: Served) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(served.ws_url + "?stranger=1")
    assert (refused.value.response.status_code, refused.value.response.body) == (403, b"not you\n")


async def test_draining_closes_both_ends(served: Served, old: OldService) -> None:
    async with connect(served.ws_url) as ws:
        await heard(ws)
        draining = asyncio.create_task(served.gateway.drain(5.0))
        assert await closed(ws) == (1012, "draining")
        assert await draining == 0
    await until(lambda: bool(old.closed_with))


async def test_dashboard_that_reads_nothing_holds_up_its_own_connection_and_no_other(
    served: Served, old: OldService
) -> None:
    async with connect(served.ws_url, max_queue=1) as slow, connect(served.ws_url + "?v=2") as ours:
        await until(lambda: len(old.clients) == 1)
        flood = asyncio.create_task(flooding(old))
        await heard(ours)
        await heard(ours)
        for n in range(20):
            await served.journal.append([event(b'{"n":%d}' % n)])
            assert json.loads(await heard(ours))["data"] == {"n": n}
        slow.transport.abort()
        await flood
    assert served.gateway.status().max_queued_bytes <= 16 << 20


async def flooding(old: OldService) -> None:
    for _ in range(300):
        await old.publish("x" * 100_000)
