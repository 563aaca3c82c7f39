"""What the producer of a drill posts."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from migctl.drills.world import bare
from migctl.drills.world.legacy import LegacyLine, first_event, line_of
from migctl.drills.world.producer import make, recorded
from migctl.drills.world.subscriber import tokens
from migctl.drills.world.tail import last_seq
from migctl.errors import Transient


def test_a_made_event_holds_its_id_in_its_data_for_who_gets_nothing_else() -> None:
    one = make(7, 2)
    assert one.data["event"] == one.id
    assert (one.event_type, one.source) == ("page_cache", "host-2")


def test_a_recording_is_published_over_and_over_each_time_under_another_id(tmp_path: Path) -> None:
    path = tmp_path / "recording.ndjson"
    path.write_text(
        '{"id":"a","event_type":"cpu","data":{"v":1}}\n\n{"event_type":"disk","source":"s","data":{}}\n'
    )
    events = list(itertools.islice(recorded(path), 4))
    assert [(one.event_type, one.source) for one in events] == [("cpu", "recording"), ("disk", "s")] * 2
    assert len({one.id for one in events}) == 4
    assert [one.data["event"] for one in events] == [one.id for one in events]


def test_a_recording_without_an_event_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recording.ndjson"
    path.write_text("\n")
    with pytest.raises(ValueError, match="no event"):
        next(recorded(path))


async def test_while_the_file_is_there_nobody_gets_a_new_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_JWT_SECRET", "s" * 40)
    away = tmp_path / "no-tokens"
    access_token = tokens(away, 60.0)
    assert await access_token()
    away.touch()
    with pytest.raises(Transient):
        await access_token()
    away.unlink()
    assert await access_token()


def test_the_last_seq_is_that_of_the_last_whole_line_however_long_lines_are(tmp_path: Path) -> None:
    path = tmp_path / "dual.ndjson"
    assert last_seq(path) == 0
    path.write_text('{"seq":1}\n')
    assert last_seq(path) == 1
    path.write_text('{"seq":1}\n{"seq":2,"data":"' + "x" * 200_000 + '"}\n{"seq":3')
    assert last_seq(path) == 2


def test_an_event_of_the_old_protocol_is_known_by_its_data() -> None:
    assert line_of('{"type":"cpu","data":{"event":"a","v":1},"timestamp":"t"}', 5.0) == LegacyLine("a", 5.0)
    assert line_of('{"type":"hello","data":{}}', 5.0) is None
    assert line_of("no JSON", 5.0) is None


def test_a_change_of_a_row_is_a_line_and_anything_else_is_none() -> None:
    row = {"id": "a", "epoch": "e", "seq": 3, "committed_at": "2026-01-31T12:00:00.5+00:00", "data": {}}
    line = bare.line_of({"data": {"record": row}})
    assert line is not None
    assert (line.id, line.seq, line.transport, line.via) == ("a", 3, "realtime", "live")
    assert bare.line_of({"status": "ok", "message": "Subscribed to PostgreSQL"}) is None
    assert bare.line_of({"data": {"record": {"id": 1}}}) is None


async def test_an_open_websocket_that_hands_out_no_event_is_not_enough() -> None:
    async def answer(socket: ServerConnection) -> None:
        await socket.send('{"type":"hello"}')
        if socket.request is not None and socket.request.path == "/ws":
            await socket.send('{"data":{"event":"a"}}')
        await socket.wait_closed()

    async with serve(answer, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await asyncio.to_thread(first_event, f"{url}/ws", 10.0)
        assert not await asyncio.to_thread(first_event, f"{url}/silent", 0.2)
    assert not await asyncio.to_thread(first_event, f"{url}/ws", 10.0)
