"""Each page of docs/browser.md runs as it stands, its script in Node, against a real serve."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from tests.kit.conditions import until
from tests.kit.node import JS, NODE
from tests.kit.serve_process import ServeProcess, serving_process

PAGE = (Path(__file__).parents[2] / "docs" / "browser.md").read_text()
OLD, *STEPS = re.findall(r'```html\n<script type="module">\n(.*?)</script>\n```', PAGE, re.DOTALL)
FIRST, BUILT = re.findall(r"```js\n(.*?)```", PAGE, re.DOTALL)


class Page:
    def __init__(self) -> None:
        self.calls: list[list[object]] = []

    @property
    def shown(self) -> list[object]:
        return [data for name, *words in self.calls if name == "show" for data in [words[1]]]


@contextlib.asynccontextmanager
async def opened(script: str, serve: ServeProcess, folder: Path) -> AsyncIterator[Page]:
    """The script with what a browser has and Node has not; what it imports is what serve hands out."""
    async with httpx.AsyncClient(trust_env=False) as http:
        client = folder / "client.mjs"
        client.write_bytes((await http.get(f"{serve.url}/client.js")).content)
    code = script.replace("'/client.js'", json.dumps(client.as_uri()))
    file = folder / "page.mjs"
    file.write_text(code)
    process = await asyncio.create_subprocess_exec(
        NODE, JS / "page.mjs", file, serve.url, folder / "storage.json", stdout=asyncio.subprocess.PIPE
    )
    page = Page()
    assert process.stdout is not None
    stdout = process.stdout

    async def read() -> None:
        async for line in stdout:
            page.calls.append(json.loads(line))

    reading = asyncio.create_task(read())
    try:
        yield page
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading


async def test_each_step_shows_what_comes_and_from_the_third_on_a_reload_misses_nothing(
    tmp_path: Path,
) -> None:
    assert (len(STEPS), BUILT) == (4, "import { Subscriber } from 'migctl-client';\n")
    with serving_process(tmp_path / "serve", "--mode", "websocket") as serve:
        for number, script in enumerate([FIRST.replace("console.log", "show"), OLD, *STEPS]):
            folder = tmp_path / str(number)
            folder.mkdir()
            async with opened(script, serve, folder) as page:

                async def came(page: Page = page) -> bool:
                    await serve.post(1)  # it begins at the head, and does not say when
                    return bool(page.shown)

                await until(came)
        # The last one kept its position: what comes while nobody looks is shown by the next load.
        before = len(page.shown)
        await serve.post(5)
        async with opened(STEPS[-1], serve, folder) as again:
            await until(lambda: len(again.shown) >= 5)
    assert before >= 1
    assert ["state", "websocket", ["websocket"]] in again.calls
