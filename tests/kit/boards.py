"""Dashboards of others in a browser: pages on another origin than serve's, one on /client.js, one of the old protocol."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
from aiohttp import web
from playwright.async_api import BrowserContext

from migctl.dashboard.bundling import bundle
from migctl.stack.launcher import any_free_port
from tests.kit.browsing import PAGES, Browsed, Chromium, until
from tests.kit.serve_process import ServeProcess


@contextlib.asynccontextmanager
async def handing_out(port: int | None = None) -> AsyncIterator[str]:
    """The origin at which the pages are, and a copy of the client, as that of an application which packs it."""
    app = web.Application()
    app.router.add_get("/client.js", _client)
    app.router.add_static("/", PAGES)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = port or any_free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def _client(_: web.Request) -> web.Response:
    folder = resources.files("migctl") / "dashboard"
    text = bundle(lambda path: folder.joinpath(path).read_text("utf-8"))
    return web.Response(text=text, content_type="text/javascript")


def allowing(folder: Path, origin: str, more: str = "") -> None:
    """Settings of a serve in this folder that lets pages of this origin in."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "migctl.yaml").write_text(f"legacy: {{ origins: ['{origin}'] }}\n{more}")


@dataclass
class Board:
    """A page on /client.js."""

    browsed: Browsed

    async def get(self, what: str) -> Any:
        """A value of what the page keeps of itself."""
        return await self.browsed.page.evaluate(f"() => window.board?.{what}")

    async def seqs(self) -> list[int]:
        found: list[int] = await self.browsed.page.evaluate("() => board.items.map((one) => one[0])")
        return found

    async def attached(self) -> list[str]:
        found: list[str] = await self.get("changes.at(-1)?.attached ?? []")
        return found

    async def has(self, seq: int) -> bool:
        newest: int = await self.get("items.at(-1)?.[0] ?? 0")
        return newest >= seq

    async def whole(self, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        """It has everything from where it began up to the journal's head, in order, each once."""
        at = head(url, headers)
        await until(lambda: self.has(at), f"the page has event {at}")
        seqs, began, gaps = await self.seqs(), await self.get("ready.seq"), await self.get("gaps")
        wanted = list(range(began + 1, seqs[-1] + 1))
        if seqs != wanted or gaps:
            missing, strange = sorted({*wanted} - {*seqs}), sorted({*seqs} - {*wanted})
            turns = [seqs[n - 1 : n + 1] for n in range(1, len(seqs)) if seqs[n] != seqs[n - 1] + 1]
            logs, changes = await self.get("logs"), await self.get("changes")
            raise AssertionError(
                f"began after {began}, has {len(seqs)}; missing {missing}; strange {strange}; not in order {turns}; "
                f"gaps {gaps}; changes {changes}; logs {logs}"
            )
        assert await self.get("error") is None


async def open_board(
    browser: Chromium, origin: str, url: str, *, context: BrowserContext | None = None, **options: Any
) -> Board:
    """Ready: nothing from here on can be missed."""
    query = urlencode({"serve": url, "options": json.dumps(options)})
    board = Board(await browser.open(f"{origin}/board.html?{query}", context=context))

    async def ready() -> bool:
        if await board.get("error") is not None:
            raise AssertionError(f"{await board.get('error')}: {await board.get('logs')}")
        return await board.get("ready") is not None

    await until(ready, "the page is ready")
    return board


@dataclass
class OldBoard:
    """A page of the old protocol."""

    browsed: Browsed

    async def frames(self) -> list[str]:
        found: list[str] = await self.browsed.page.evaluate("() => frames")
        return found

    async def count(self) -> int:
        found: int = await self.browsed.page.evaluate("() => frames.length")
        return found

    async def opened(self) -> int:
        found: int = await self.browsed.page.evaluate("() => opened")
        return found

    async def closed(self) -> list[int]:
        found: list[int] = await self.browsed.page.evaluate("() => closes")
        return found


async def open_old_board(browser: Chromium, origin: str, serve: ServeProcess) -> OldBoard:
    """Connected."""
    query = urlencode({"socket": serve.ws_url})
    board = OldBoard(await browser.open(f"{origin}/old_board.html?{query}"))

    async def connected() -> bool:
        return await board.opened() == 1

    await until(connected, "the old page is connected")
    return board


def head(url: str, headers: Mapping[str, str] | None = None) -> int:
    """How far the journal of this serve is."""
    status = httpx.get(f"{url}/api/status", headers=headers, timeout=10, trust_env=False).json()
    found: int = status["journal"]["head"]
    return found
