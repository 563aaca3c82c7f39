"""`migctl clients` against real processes and real sockets: who is here, who left, across a stop and a kill."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from migctl.runtime.remembering import FILE
from tests.kit.serve_process import run, serving_process

Found = list[tuple[str, str, str | None, bool, bool]]


def clients(folder: Path, *words: str, code: int = 0) -> dict[str, Any]:
    done = run(folder, "clients", "--output", "json", *words)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rows(document: dict[str, Any]) -> Found:
    return sorted(
        (
            (one["transport"], one["protocol"], one["user"], one["connected"], one["witness"])
            for one in document["clients"]
        ),
        key=str,
    )


@pytest.mark.slow
async def test_each_subscriber_is_listed_by_what_it_is_and_remembered_when_it_left(tmp_path: Path) -> None:
    with serving_process(tmp_path, "--mode", "websocket") as serve:
        await serve.post(3)
        async with (
            connect(serve.ws_url) as legacy,
            connect(f"{serve.ws_url}?v=2&role=standby&user=s"),
            connect(f"{serve.ws_url}?v=2&client=witness") as witness,
        ):
            async with connect(f"{serve.ws_url}?v=2&user=u") as v2:
                await asyncio.gather(v2.recv(), witness.recv())
                await serve.post(1)
                await asyncio.gather(legacy.recv(), v2.recv())
                found = await asyncio.to_thread(clients, tmp_path)
                assert rows(found) == [
                    ("standby", "v2", "s", True, False),
                    ("websocket", "legacy", None, True, False),
                    ("websocket", "v2", "u", True, False),
                    ("websocket", "v2", None, True, True),
                ]
                by_user = {one["user"]: one for one in found["clients"] if not one["witness"]}
                assert by_user["u"]["position"].endswith("/4")
                assert by_user[None]["position"].endswith("/4")
                assert by_user["s"]["position"] is None
                assert found["complete"]
                only = await asyncio.to_thread(clients, tmp_path, "--transport", "standby")
                assert rows(only) == [("standby", "v2", "s", True, False)]
            left = await asyncio.to_thread(clients, tmp_path)
            (gone,) = [one for one in left["clients"] if not one["connected"]]
            assert (gone["user"], gone["position"].rpartition("/")[2]) == ("u", "4")
        await asyncio.to_thread(serve.stop)
    began = left["processes"][0]["remembers_from"]

    with serving_process(tmp_path, "--mode", "websocket") as serve:
        found = await asyncio.to_thread(clients, tmp_path)
        assert found["processes"][0]["remembers_from"] == began, "a clean stop forgets nobody"
        assert [one[:4] for one in rows(found)] == [
            ("standby", "v2", "s", False),
            ("websocket", "legacy", None, False),
            ("websocket", "v2", "u", False),
        ]
        text = await asyncio.to_thread(run, tmp_path, "clients")
        assert "0 on the WebSocket, 0 on Realtime" in text.stdout
        assert max(map(len, text.stdout.splitlines())) <= 80
        serve.send(signal.SIGKILL)

    silent = await asyncio.to_thread(run, tmp_path, "clients")
    assert silent.returncode == 3
    assert "did not answer, and may have subscribers" in silent.stderr

    with serving_process(tmp_path, "--mode", "websocket"):
        found = await asyncio.to_thread(clients, tmp_path)
        assert found["processes"][0]["remembers_from"] > began, "who left unseen before a kill is not known"
        assert len(found["clients"]) == 3
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
