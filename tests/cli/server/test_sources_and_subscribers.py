"""`migctl sources` and `migctl subscribers` against a serve that runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from tests.kit.serve_process import run, serving_process


async def test_who_posts_and_who_reads_is_listed_with_how_far_it_is(tmp_path: Path) -> None:
    def asked(*words: str) -> dict[str, Any]:
        done = run(tmp_path, *words, "--output", "json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    assert run(tmp_path, "sources").returncode == run(tmp_path, "subscribers").returncode == 3
    with serving_process(tmp_path, "--mode", "websocket") as serve:
        assert asked("sources")["sources"] == []
        async with connect(f"{serve.ws_url}?v=2&user=u") as v2, connect(f"{serve.ws_url}?v=2&role=standby"):
            await v2.recv()
            await serve.post(3)
            while json.loads(await v2.recv()).get("seq") != 3:
                pass
            (posted,) = (await asyncio.to_thread(asked, "sources"))["sources"]
            assert (posted["kind"], posted["accepted"], posted["remote"]) == ("post", 3, "127.0.0.1")
            found = await asyncio.to_thread(asked, "subscribers")
            rows = {one["user"]: one for one in found["subscribers"]}
            assert (rows["u"]["phase"], rows["u"]["behind_events"], rows[None]["reads"]) == (
                "live",
                0,
                "realtime",
            )
            for command, words in (
                ("sources", "from 127.0.0.1"),
                ("subscribers", "nobody is behind head 3"),
            ):
                wide = await asyncio.to_thread(run, tmp_path, command, more={"COLUMNS": "120"})
                assert words in wide.stdout
                narrow = await asyncio.to_thread(run, tmp_path, command)
                assert set(words.split()) <= set(narrow.stdout.split())
                assert max(map(len, narrow.stdout.splitlines())) <= 80
