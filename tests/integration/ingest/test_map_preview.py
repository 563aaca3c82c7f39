"""`migctl map preview` of a file and of a WebSocket: tables, JSON, exit codes, and nothing stored."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.kit.deadletters import Commands
from tests.unit.ingest.test_preview import GOOD, ODD


def test_a_file_is_shown_within_80_columns_and_a_map_is_proposed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    migctl = Commands(tmp_path, {}, monkeypatch, capsys)
    (tmp_path / "odd.ndjson").write_bytes(b"\n".join(ODD))
    shown = migctl("map", "preview", "odd.ndjson")
    assert shown.returncode == 1
    assert "--map 'event_type=.eventName'" in shown.stdout and "5 rejected" in shown.stderr
    options = ["--map", "event_type=.eventName", "--map", "data=.payload"]
    shown = migctl("map", "preview", "odd.ndjson", *options, "--count", "2")
    assert shown.returncode == 0 and ".meta" in shown.stdout and "arrival" in shown.stdout
    assert max(len(line) for line in shown.stdout.split("proposal")[0].splitlines()) <= 80
    found = json.loads(migctl("map", "preview", "odd.ndjson", *options, "-o", "json").stdout)
    assert [one["left_out"] for one in found["messages"]] == [[".meta", ".eventID"]] * 5
    assert found["proposal"]["map"]["timestamp"] == ".meta.at"
    assert [path.name for path in tmp_path.iterdir()] == ["odd.ndjson"]
    assert migctl("map", "preview", "none.ndjson").returncode == 2


async def test_a_websocket_is_heard_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def greet(socket: ServerConnection) -> None:
        await socket.send(GOOD.decode())
        await socket.send(b"[%b,%b]" % (GOOD, GOOD))
        await socket.wait_closed()

    migctl = Commands(tmp_path, {}, monkeypatch, capsys)
    async with serve(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"ws://127.0.0.1:{port}/ws"
        shown = await asyncio.to_thread(migctl, "map", "preview", url, "--count", "3", "-o", "json")
    assert shown.returncode == 0, shown.stderr
    assert [one["result"] for one in json.loads(shown.stdout)["messages"]] == ["event"] * 3
    assert (await asyncio.to_thread(migctl, "map", "preview", url)).returncode == 3
