"""The client that docs/protocol.md shows loses nothing when its server is killed, and the page knows every code and every frame."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx

from migctl.stack.launcher import any_free_port
from migctl.transports.websocket import frames
from tests.kit.conditions import until
from tests.kit.node import NODE
from tests.kit.serve_process import serving_process

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
[CLIENT] = re.findall(r"```js\n(.*?)```", PAGE, re.DOTALL)
# Those that a server of ours never sends, or sends without a meaning of ours.
COMMON = {1000, 1001, 1002, 1005, 1006, 1011}


async def test_the_client_of_the_page_loses_nothing_when_its_server_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "client.mjs"
    program.write_text(CLIENT)
    port = any_free_port()
    options = ("--mode", "websocket", "--listen", f"127.0.0.1:{port}")
    client = await asyncio.create_subprocess_exec(
        str(NODE), str(program), f"http://127.0.0.1:{port}", "20", stdout=asyncio.subprocess.PIPE
    )
    try:
        for _ in range(2):
            with serving_process(tmp_path / "serve", *options) as serve:
                await until(lambda: attached(serve.url))
                await serve.post(10)
                serve.process.kill()
        with serving_process(tmp_path / "serve", *options):
            out, _ = await asyncio.wait_for(client.communicate(), 60)
    finally:
        if client.returncode is None:
            client.kill()
            await client.wait()
    received: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    assert [event["data"]["used"] for event in received] == [*range(10), *range(10)]
    assert len({event["id"] for event in received}) == 20


def attached(url: str) -> int:
    found = httpx.get(f"{url}/api/status", trust_env=False).json()
    return int(found["transports"]["websocket"]["subscribers_v2"])


def test_every_code_and_every_frame_is_on_the_page() -> None:
    codes = {
        value
        for name, value in vars(frames).items()
        if name.isupper() and name[0] != "_" and isinstance(value, int)
    }
    ours = {code for code in codes if 1000 <= code < 5000} - COMMON
    assert {int(code) for code in re.findall(r"\b(1012|44\d\d)\b", PAGE)} == ours
    source = Path(frames.__file__).read_text()
    for kind in set(re.findall(r'"(sys\.\w+)"', source)):
        assert f"`{kind}`" in PAGE
