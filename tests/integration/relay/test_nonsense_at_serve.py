"""A real `serve` whose target answers what nobody asked for: it takes events, serves them, and the table has all in the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from migctl.config import Target
from tests.kit.conditions import until
from tests.kit.nonsense import BLAMES, NONSENSE, PACKED, SOCKETS, Answer, Request, nonsense_before, refusal
from tests.kit.relaying import Tables
from tests.kit.serve_process import serving_process
from tests.kit.targets import environment_of

SETTINGS = "resilience:\n  systemic_retry: {first_delay_s: 0.05, max_delay_s: 0.2}\n"
EACH = 20
# One after the other, in the order in which the relay comes to ask; each for as long as its stage lasts.
STAGES: list[dict[Request, Answer]] = [
    {"read heads": NONSENSE["values of other types"]},
    {"read heads": BLAMES["413"]},
    {"read heads": NONSENSE["a list of numbers"]},
    {"probe": NONSENSE["a page"]},
    {"move": BLAMES["22P02"]},
    {"move": NONSENSE["no end"]},
    {"write": NONSENSE["no UTF-8"]},
    {"write": Answer(body=b"[]", forwarded=True), "read back": NONSENSE["vast numbers"]},
    {"write": Answer(body=b"[]", forwarded=True), "read back": BLAMES["23514"]},
    {"write": PACKED["a bomb in a bomb"], "socket": SOCKETS["a place that is no address"]},
    {"move": PACKED["a refusal that is a bomb"], "socket": SOCKETS["a port that is none"]},
    {"write": NONSENSE["half of it"], "socket": SOCKETS["a reason of 980 levels"]},
    {"write": NONSENSE["a page"], "socket": SOCKETS["no frame"], "flags": NONSENSE["a fence"]},
    {"move": NONSENSE["a fence"], "socket": SOCKETS["no such tenant"], "flags": refusal(412, "PT412")},
    {
        "write": NONSENSE["no gzip"],
        "socket": SOCKETS["itself"],
        "flags": BLAMES["22P02"],
        "stage": NONSENSE["no end"],
    },
]


@pytest.mark.slow
async def test_serve_outlives_every_answer_and_loses_nothing(
    target: Target, tables: Tables, tmp_path: Path
) -> None:
    folder = tmp_path / "serve"
    folder.mkdir()
    (folder / "migctl.yaml").write_text(SETTINGS)
    async with contextlib.AsyncExitStack() as stack:
        front = await stack.enter_async_context(nonsense_before(target.supabase_url))

        def begin(stage: dict[Request, Answer]) -> None:
            for request in ("read heads", "move", "probe", "write", "read back", "socket", "flags", "stage"):
                front.always(request, stage.get(request))

        begin(STAGES[0])
        environment = environment_of(replace(target, supabase_url=front.url))
        serve = await asyncio.to_thread(
            stack.enter_context, serving_process(folder, "--mode", "dual", more=environment)
        )
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=serve.url, trust_env=False))
        socket = await stack.enter_async_context(connect(f"{serve.ws_url}?v=2"))

        async def relay() -> dict[str, Any]:
            status: dict[str, Any] = (await http.get("/api/status")).json()["relay"]
            return status

        async def delivered(seq: int) -> None:
            async with asyncio.timeout(15):
                while json.loads(await socket.recv()).get("seq") != seq:
                    pass

        for number, stage in enumerate(STAGES, 1):
            begin(stage)
            await front.hang_up()
            before = dict(front.counts)
            await serve.post(EACH)
            await delivered(number * EACH)

            async def asked_again(
                stage: dict[Request, Answer] = stage, before: dict[str, int] = before
            ) -> bool:
                """What follows such an answer is not the end."""
                again = all(front.counts[request] > before.get(request, 0) + 1 for request in stage)
                return again and (await relay())["state"] in ("paused", "retrying")

            await until(asked_again)
            assert (await http.get("/readyz")).status_code == 200
        begin({})
        expected = list(range(1, len(STAGES) * EACH + 1))

        async def all_there() -> bool:
            return await tables.seqs() == expected and (await relay())["state"] == "running"

        await until(all_there)
        assert await tables.tombstones() == {}
        assert (await http.get("/api/status")).json()["dead_letters"]["waiting"] == 0
        serve.send(signal.SIGTERM)
        assert await asyncio.to_thread(serve.process.wait, 20) == 0
