"""The tap on a real WebSocket server that greets, mumbles, dies and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import to_builtins
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.utils import accept_key

from migctl.events import Event, parse_time
from migctl.ingest import Mapper, parse_map
from migctl.ingest.rejected import Rejected
from migctl.ingest.tap import TapSource
from migctl.journal import Appended, Bookmark
from migctl.resilience import Backoff
from migctl.transports.dialing import Keeping
from tests.integration.ingest.conftest import Refusing
from tests.kit.conditions import until

GREETING = '{"type":"initial_stats","stats":{"a":1},"recent_events":[],"timestamp":"2025-10-23 15:11:01"}'


class Upstream:
    """An old service: greets each client, then sends what it is told to."""

    def __init__(self) -> None:
        self.port = 0
        self.clients: set[ServerConnection] = set()
        self.accepted = 0
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    async def start(self) -> None:
        self._server = await serve(self._client, "127.0.0.1", self.port, ping_interval=None)
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def _client(self, socket: ServerConnection) -> None:
        self.accepted += 1
        await socket.send(GREETING)
        self.clients.add(socket)
        try:
            await socket.wait_closed()
        finally:
            self.clients.discard(socket)

    async def send(self, *frames: str | bytes) -> None:
        await until(lambda: self.clients)
        for socket in list(self.clients):
            for frame in frames:
                await socket.send(frame)

    async def die(self) -> None:
        """Without a closing handshake, as a killed process."""
        assert self._server is not None
        server, self._server = self._server, None
        for socket in list(self.clients):
            socket.transport.abort()
        server.close(close_connections=False)
        await server.wait_closed()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    await made.start()
    yield made
    await made.stop()


def tap_of(upstream: Upstream, state: Path, mapper: Mapper | None = None, **more: Any) -> TapSource:
    return TapSource(
        more.pop("url", upstream.url),
        mapper=mapper or parse_map(ignore=["initial_stats"]),
        rejected=Rejected(state / "rejected.ndjson"),
        state_dir=state,
        backoff=Backoff(first_s=0.01, most_s=0.05),
        **more,
    )


@contextlib.asynccontextmanager
async def running(tap: TapSource, journal: Refusing) -> AsyncIterator[TapSource]:
    task = asyncio.create_task(tap.run(journal))
    try:
        await until(lambda: task.done() or tap.status().connections)
        yield tap
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def wrapped(number: int) -> str:
    return f'{{"type":"m","data":{{"n": {number}.0}},"timestamp":"2025-10-23 15:11:01"}}'


async def holds(journal: Refusing, number: int) -> bool:
    return any(json.loads(entry.event.data)["n"] == number for entry in await journal.read(0))


def outages_in(state: Path) -> list[dict[str, str]]:
    path = state / "outages.ndjson"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def test_text_and_binary_frames_are_events_and_data_keeps_its_text(
    tmp_path: Path, journal: Refusing, upstream: Upstream
) -> None:
    async with running(tap_of(upstream, tmp_path), journal) as tap:
        await upstream.send(wrapped(1), wrapped(2).encode(), '{"type":"flat","x": 1}')
        await until(lambda: journal.head == 3)
    events = [entry.event for entry in await journal.read(0)]
    assert [event.data for event in events] == [b'{"n": 1.0}', b'{"n": 2.0}', b'{"type":"flat","x": 1}']
    assert {event.source for event in events} == {"127.0.0.1"}
    assert [event.clock for event in events] == [None, None, "arrival"]
    assert tap.status().ignored == 1  # the greeting
    assert outages_in(tmp_path) == []


async def test_an_array_is_its_items_and_one_bad_item_is_rejected_alone(
    tmp_path: Path, journal: Refusing, upstream: Upstream
) -> None:
    async with running(tap_of(upstream, tmp_path), journal) as tap:
        await upstream.send(f" [{wrapped(1)}, 7, {wrapped(2)}]", "[]", "[1,", wrapped(3))
        await until(lambda: journal.head == 3)
    assert [json.loads(entry.event.data)["n"] for entry in await journal.read(0)] == [1, 2, 3]
    kept = [json.loads(line)["text"] for line in (tmp_path / "rejected.ndjson").read_text().splitlines()]
    assert kept == ["7", "[1,"]
    assert tap.status().rejected == 2


async def test_garbage_is_kept_with_its_reason_and_does_not_stop_the_stream(
    tmp_path: Path, journal: Refusing, upstream: Upstream
) -> None:
    frames: list[str | bytes] = [
        "not json",
        b"\x00\xff\xfe",
        "",
        "{}",
        '{"type":"sys.hello","data":{}}',
        "null",
    ]
    async with running(tap_of(upstream, tmp_path), journal) as tap:
        await upstream.send(*frames, wrapped(1))
        await until(lambda: journal.head == 1)
    assert tap.status().rejected == len(frames)
    kept = [json.loads(line) for line in (tmp_path / "rejected.ndjson").read_text().splitlines()]
    assert len(kept) == len(frames)
    assert all(record["reason"] for record in kept)


async def test_an_upstream_that_dies_is_an_outage_and_is_joined_again(
    tmp_path: Path, journal: Refusing, upstream: Upstream
) -> None:
    async with running(tap_of(upstream, tmp_path), journal) as tap:
        await upstream.send(wrapped(1))
        await until(lambda: journal.head == 1)
        await upstream.die()
        await until(lambda: tap.status().outages.lasting)
        assert tap.status().state != "connected"
        assert tap.status().reason
        await upstream.start()
        await upstream.send(wrapped(2))
        await until(lambda: journal.head == 2)
        assert tap.status().connections == 2
        (outage,) = outages_in(tmp_path)
        assert outage["source"] == upstream.url
        assert outage["from"] < outage["to"]
        assert outage["reason"]
        assert to_builtins(tap.status().outages.latest) == [outage]


async def test_a_time_before_the_first_connection_is_an_outage(
    tmp_path: Path, journal: Refusing, upstream: Upstream
) -> None:
    await upstream.die()
    tap = tap_of(upstream, tmp_path)
    task = asyncio.create_task(tap.run(journal))
    await until(lambda: tap.status().outages.lasting)
    await upstream.start()
    await upstream.send(wrapped(1))
    await until(lambda: journal.head == 1)
    task.cancel()
    await asyncio.wait([task])
    (outage,) = outages_in(tmp_path)
    assert "refused" in outage["reason"].lower() or "connect" in outage["reason"].lower()


async def test_the_time_between_two_runs_is_an_outage(
    tmp_path: Path, journal: Refusing, upstream: Upstream
) -> None:
    for _ in range(2):
        async with running(tap_of(upstream, tmp_path), journal):
            pass
    (outage,) = outages_in(tmp_path)
    assert outage["reason"] == "migctl was stopped"


async def test_a_short_refusal_of_the_journal_loses_nothing_and_is_no_outage(
    tmp_path: Path, journal: Refusing, upstream: Upstream
) -> None:
    async with running(tap_of(upstream, tmp_path), journal) as tap:
        journal.full = True
        await upstream.send(*(wrapped(number) for number in range(50)))
        await until(lambda: journal.refused >= 2 and tap.status().frames == 51)
        assert tap.status().waiting_for == "the journal's disk is full"
        journal.full = False
        await until(lambda: journal.head == 50)
    assert [json.loads(entry.event.data)["n"] for entry in await journal.read(0)] == list(range(50))
    assert outages_in(tmp_path) == []


async def test_a_long_refusal_leaves_the_socket_rather_than_slow_the_upstream(
    tmp_path: Path, journal: Refusing, upstream: Upstream
) -> None:
    async with running(tap_of(upstream, tmp_path, max_buffer_bytes=2000), journal) as tap:
        journal.full = True
        await upstream.send(wrapped(0))
        await until(lambda: tap.status().waiting_for)
        await upstream.send(*(wrapped(number) for number in range(1, 40)))
        await until(lambda: tap.status().outages.lasting)
        await until(lambda: not upstream.clients)
        assert tap.status().buffered_bytes < 2200
        journal.full = False
        await until(lambda: tap.status().connections == 2)
        await upstream.send(wrapped(99))
        await until(lambda: holds(journal, 99))
        (outage,) = outages_in(tmp_path)
        assert "the journal did not take events: the journal's disk is full" in outage["reason"]
    seen = [json.loads(entry.event.data)["n"] for entry in await journal.read(0)]
    assert seen[-1] == 99
    assert seen[:-1] == list(
        range(len(seen) - 1)
    )  # what was heard before is whole; what came after is the outage
    assert len(seen) > 5


async def test_what_was_heard_is_stored_before_the_tap_ends(
    tmp_path: Path, journal: Refusing, upstream: Upstream
) -> None:
    tap = tap_of(upstream, tmp_path)
    journal.full = True
    task = asyncio.create_task(tap.run(journal))
    await upstream.send(*(wrapped(number) for number in range(700)))
    await until(lambda: tap.status().frames == 701 and journal.refused)
    task.cancel()
    journal.full = False
    await asyncio.wait([task])
    assert task.cancelled()
    assert journal.head == 700


class Hanging(Refusing):
    """Hangs in the next `append`, and takes events once that was broken off."""

    async def append(self, events: Sequence[Event], *, read: Bookmark | None = None) -> Appended:
        if self.full:
            self.refused += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.full = False
        return await super().append(events, read=read)


async def test_a_batch_that_was_broken_off_at_the_end_is_tried_again_with_what_came_after_it(
    tmp_path: Path, journal: Refusing, upstream: Upstream
) -> None:
    hanging = Hanging(journal._journal)
    tap = tap_of(upstream, tmp_path, stop_within_s=0.1)
    task = asyncio.create_task(tap.run(hanging))
    await until(lambda: tap.status().connections)
    hanging.full = True
    await upstream.send(wrapped(0))
    await until(lambda: hanging.refused)
    await upstream.send(wrapped(1))
    await until(lambda: tap.status().frames == 3)
    task.cancel()
    await asyncio.wait([task])
    assert [json.loads(entry.event.data)["n"] for entry in await journal.read(0)] == [0, 1]


async def test_frames_that_the_journal_did_not_take_at_the_end_belong_to_the_outage(
    tmp_path: Path, journal: Refusing, upstream: Upstream
) -> None:
    tap = tap_of(upstream, tmp_path, stop_within_s=0.1)
    task = asyncio.create_task(tap.run(journal))
    await upstream.send(wrapped(0))
    await until(lambda: journal.head == 1)
    journal.full = True
    await upstream.send(wrapped(1))
    await until(lambda: journal.refused)
    heard = time.time()
    await until(lambda: time.time() > heard + 0.05)
    task.cancel()
    await asyncio.wait([task])
    seen = json.loads((tmp_path / "tap.seen.json").read_text())[upstream.url]
    assert parse_time(seen["at"]).timestamp() <= heard


@pytest.mark.slow
async def test_an_upstream_that_falls_silent_is_an_outage_since_it_was_last_heard(
    tmp_path: Path, journal: Refusing, upstream: Upstream
) -> None:
    async with running(tap_of(upstream, tmp_path, keeping=Keeping(0.3, 0.3)), journal) as tap:
        await upstream.send(wrapped(1))
        await until(lambda: journal.head == 1)
        for socket in upstream.clients:
            socket.transport.pause_reading()  # the connection stands, and no ping is answered
        silent_since = time.time()
        await until(lambda: tap.status().connections == 2)
        (outage,) = tap.status().outages.latest
        assert "ping" in outage.reason
        assert outage.began.timestamp() <= silent_since + 0.1


async def test_an_upstream_that_answers_no_ping_and_sends_is_not_left(
    tmp_path: Path, journal: Refusing
) -> None:
    """A service that knows frames of text and nothing else; one that is quiet for a moment is not given up for that."""
    asked, silent = 0, asyncio.Event()

    async def service(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        request = await reader.readuntil(b"\r\n\r\n")
        [key] = re.findall(rb"Sec-WebSocket-Key: (\S+)", request)
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + accept_key(key.decode()).encode()
            + b"\r\n\r\n"
        )
        number = 0
        while not silent.is_set():
            text = wrapped(number).encode()
            writer.write(
                b"\x81" + (bytes([len(text)]) if len(text) < 126 else b"\x7e" + len(text).to_bytes(2)) + text
            )
            number += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    asked += (await reader.read(100)) != b""
        await reader.read()
        writer.close()

    server = await asyncio.start_server(service, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
    tap = TapSource(
        url,
        mapper=parse_map(),
        rejected=Rejected(tmp_path / "rejected.ndjson"),
        state_dir=tmp_path,
        backoff=Backoff(first_s=0.01, most_s=0.05),
        keeping=Keeping(0.2, 0.2),
    )
    async with running(tap, journal):
        await until(lambda: asked >= 8 and journal.head >= 20)
        assert (tap.status().connections, tap.status().outages.count) == (1, 0)
        silent.set()
        await until(lambda: tap.status().connections == 2)
        assert "nothing came" in tap.status().outages.latest[-1].reason
    server.close()


async def test_an_answer_that_is_no_handshake_is_told_and_tried_again(
    tmp_path: Path, journal: Refusing
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tap = TapSource(
        f"ws://user:secret@127.0.0.1:{port}/ws?token=secret",
        mapper=Mapper(),
        rejected=Rejected(tmp_path / "rejected.ndjson"),
        state_dir=tmp_path,
        backoff=Backoff(first_s=0.01, most_s=0.05),
    )
    task = asyncio.create_task(tap.run(journal))
    await until(lambda: tap.status().reason)
    assert tap.status().reason == "the upstream answered 403"
    assert "secret" not in str(tap.status()) + (tmp_path / "tap.seen.json").read_text()
    task.cancel()
    await asyncio.wait([task])
    server.close()
