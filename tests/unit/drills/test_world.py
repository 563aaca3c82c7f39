"""What the producer of a drill posts."""

from __future__ import annotations

import asyncio
import itertools
import stat
from pathlib import Path
from typing import Literal

import jwt
import pytest
from websockets.asyncio.server import ServerConnection, serve

from migctl.drills.world import bare
from migctl.drills.world.legacy import LegacyLine, first_event, line_of
from migctl.drills.world.producer import make, recorded
from migctl.drills.world.reader_keys import ReaderKeys
from migctl.drills.world.rekeyed import Rekeyed
from migctl.drills.world.subscriber import AssignedServer, assigned, tokens
from migctl.drills.world.tail import last_seq
from migctl.errors import Transient
from migctl.events import Position
from migctl.stack.launcher import any_free_port
from migctl.subscriber.core.merge import Merge
from migctl.subscriber.gateway.serve_client import Assignment
from migctl.subscriber.realtime.subscriber import RealtimeSubscriber
from migctl.transports.protocol import TransportName


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


async def test_while_the_file_is_there_nobody_gets_a_new_token(tmp_path: Path) -> None:
    away, keys = tmp_path / "no-tokens", tmp_path / "keys.json"
    ReaderKeys("a", "s" * 40).write(keys)
    access_token = tokens(away, keys, 60.0)
    assert await access_token()
    away.touch()
    with pytest.raises(Transient):
        await access_token()
    away.unlink()
    assert await access_token()


async def test_a_token_is_signed_with_the_secret_that_the_file_has_when_it_is_made(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    ReaderKeys("a", "old" * 20).write(keys)
    access_token = tokens(tmp_path / "no-tokens", keys, 60.0)
    assert jwt.decode(await access_token(), "old" * 20, algorithms=["HS256"])["role"] == "authenticated"
    ReaderKeys("b", "new" * 20).write(keys)
    assert jwt.decode(await access_token(), "new" * 20, algorithms=["HS256"])["role"] == "authenticated"


def test_keys_of_readers_are_for_the_owner_alone_and_in_no_repr(tmp_path: Path) -> None:
    keys = ReaderKeys("anon", "secret")
    keys.write(tmp_path / "keys.json")
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert ReaderKeys.read(tmp_path / "keys.json") == keys
    assert "secret" not in repr(keys)


async def test_with_another_key_a_reader_is_made_anew_and_goes_on_at_its_position(tmp_path: Path) -> None:
    keys, here = tmp_path / "keys.json", Position("e", 7)
    ReaderKeys("old", "s" * 40).write(keys)
    nobody = f"http://127.0.0.1:{any_free_port()}"
    made: list[tuple[str, Position | None]] = []
    anew = asyncio.Event()

    def make(anon_key: str, position: Position | None) -> RealtimeSubscriber:
        made.append((anon_key, position))
        if len(made) > 1:
            anew.set()
        merge = Merge()
        merge.start(position or here, 0.0)
        access_token = tokens(tmp_path / "no-tokens", keys, 60.0)
        return RealtimeSubscriber(nobody, anon_key, access_token, position=position, wait_s=60, merge=merge)

    async def take(reader: Rekeyed) -> int:
        return sum([len(batch) async for batch in reader.batches()])

    async with Rekeyed(keys, make, read_every_s=0.001) as reader:
        taking = asyncio.create_task(take(reader))
        ReaderKeys("old", "t" * 40).write(keys)  # a secret alone is read with each token
        ReaderKeys("new", "t" * 40).write(keys)
        async with asyncio.timeout(20):
            await anew.wait()
        assert made == [("old", None), ("new", here)]
        assert (reader.position, reader.reconnects) == (here, 1)
    async with asyncio.timeout(20):
        assert await taking == 0  # it ends with the block


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


@pytest.mark.parametrize(
    ("flag", "now", "transport", "expected"),
    [
        ("realtime", "realtime", "websocket", ("websocket", False)), ("realtime", "websocket", "websocket", ("websocket", False)),
        ("realtime", "realtime", "realtime", ("realtime", False)), ("realtime", "websocket", "realtime", ("realtime", True)),
        ("websocket", "websocket", "realtime", ("realtime", False)),
    ],
)  # fmt: skip
def test_one_that_is_assigned_a_transport_of_its_own_has_it_whatever_the_flag_says(
    flag: Literal["websocket", "realtime"],
    now: Literal["websocket", "realtime"],
    transport: TransportName,
    expected: tuple[str, bool],
) -> None:
    found = assigned(Assignment(transport=now, epoch="e", assigned=flag), transport)
    assert (found.lasting, found.away) == expected


async def test_the_socket_of_one_that_is_assigned_a_transport_names_nobody_to_be_sent_the_flags_word() -> (
    None
):
    server = AssignedServer("http://127.0.0.1:1", "websocket")
    try:
        assert "user" not in server.claims
    finally:
        await server.aclose()
