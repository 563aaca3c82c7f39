"""Why a socket ends: retention, rotation, a subscriber that is stopped. It goes on from its position, or is told why it can't.

4401 is in the tests of tokens; 4408 by a full queue, 4409 and 1012 are in the tests of the stream and of the upstream.
"""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from migctl.events import Position
from migctl.journal.sqlite.retention import Keep
from tests.kit.capturing import capturing
from tests.kit.served import DEADLINE_S, event, serving, until

LARGE = b'{"x":"%b"}' % (b"y" * 100_000)


async def to_the_end(ws: ClientConnection) -> tuple[list[int], int | None]:
    """The seqs that still come, and the code that ends it."""
    seqs: list[int] = []
    try:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                told = json.loads(await ws.recv())
                if "seq" in told:
                    seqs.append(told["seq"])
    except ConnectionClosed as closed:
        return seqs, closed.rcvd.code if closed.rcvd else None


async def hello(ws: ClientConnection) -> tuple[str, str | None]:
    async with asyncio.timeout(DEADLINE_S):
        data = json.loads(await ws.recv())["data"]
    return data["resume"], data["reason"]


async def test_reader_that_retention_overtakes_is_closed_with_4410_and_told_trimmed_when_it_comes_again(
    tmp_path: Path,
) -> None:
    keep = Keep(hours=0.0, min_events=10, readers=frozenset({"relay"}), check_every_s=0.02)
    async with serving(tmp_path, keep=keep, stall_s=DEADLINE_S, grace_s=DEADLINE_S) as served:
        for _ in range(400):  # more than is held in memory, where retention would not be felt
            await served.journal.append([event(LARGE)])
        address = f"{served.ws_url}?v=2&epoch={served.journal.epoch}&after="
        async with connect(address + "0", max_queue=1) as reader:
            assert await hello(reader) == ("recovered", None)
            # It reads no further, so its catch-up waits in the middle; and the relay gets past what it did not read.
            await served.journal.move_cursor("relay", Position(served.journal.epoch, 400))
            await until(lambda: served.journal.tail == 391)
            seqs, code = await to_the_end(reader)
        assert code == 4410
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) < 390
        async with connect(address + str(len(seqs))) as again:
            assert await hello(again) == ("unrecoverable", "trimmed")


async def test_page_without_a_position_is_of_what_is_held_while_more_is_cut_away(tmp_path: Path) -> None:
    keep = Keep(hours=0.0, min_events=10, readers=frozenset({"relay"}), check_every_s=0.01)
    async with serving(tmp_path, keep=keep) as served:
        for _ in range(30):
            await served.journal.append([event(b'{"x":"%b"}' % (b"y" * 500)) for _ in range(500)])
        await served.journal.move_cursor("relay", Position(served.journal.epoch, 15_000))
        tail = 0
        while tail < 14_991:
            pages = await asyncio.gather(*(served.http.get("/events?limit=1") for _ in range(8)))
            for page in pages:
                assert page.status_code == 200, page.text
                (first,) = page.json()["events"]
                assert first["seq"] >= tail
            tail = served.journal.tail


async def test_epoch_that_is_opened_under_a_socket_closes_it_with_4411_after_what_the_old_one_had(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, heartbeat_s=0.05) as served, connect(served.ws_url + "?v=2") as ws:
        old = served.journal.epoch
        await hello(ws)
        await served.journal.append([event() for _ in range(3)])
        await until(lambda: served.gateway.status().delivered_seq == 3)
        await served.journal.rotate_epoch(old, lost=(4, 5), reason="an older copy was put back")
        assert await to_the_end(ws) == ([1, 2, 3], 4411)
        async with connect(f"{served.ws_url}?v=2&epoch={old}&after=3") as again:
            assert await hello(again) == ("unrecoverable", "epoch")


@pytest.mark.slow
async def test_subscriber_that_is_stopped_is_closed_with_4408_and_misses_nothing_once_it_runs_again(
    tmp_path: Path,
) -> None:
    """A process under SIGSTOP: its kernel still takes bytes, until it takes no more."""
    async with serving(tmp_path, max_queue_bytes=256 << 10, grace_s=0.5) as served:
        gateway = served.gateway.status
        async with capturing(tmp_path / "out", "--url", served.ws_url) as capture:
            await capture.said("ready")
            await served.journal.append([event() for _ in range(10)])
            await asyncio.to_thread(capture.wait_for_lines, 10)
            capture.process.send_signal(signal.SIGSTOP)
            while 4408 not in gateway().closed_by_code:
                assert served.journal.head < 5000, "the queue is not bounded"
                await served.journal.append([event(LARGE)])
                await until(lambda: gateway().behind_events == 0)
            capture.process.send_signal(signal.SIGCONT)
            head = served.journal.head
            await asyncio.to_thread(capture.wait_for_lines, head)
            capture.process.send_signal(signal.SIGTERM)
            code, _, err = await capture.ended()
        assert code == 0, err
        assert [line["seq"] for line in capture.lines] == list(range(1, head + 1))
        assert (capture.summary["complete"], capture.summary["reconnects"]) == (True, 1)
