"""A browser: Debian's Chromium, headless, and what its pages asked for and complained of."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.kit import needs

OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
DEADLINE_S = 60.0
PHONE = (390, 844)
# Where pictures of pages stay; else they are in the folder of the test.
SHOTS = os.environ.get("MIGCTL_SCREENSHOTS", "")
Theme = Literal["light", "dark"]
PAGES = Path(__file__).parents[1] / "pages"
WATCH = (PAGES / "watch.js").read_text()


@dataclass
class Browsed:
    """page: open. asked: addresses that it asked for. complaints: of the console, and errors that nobody caught."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def text(self, test_id: str) -> str:
        return await self.page.get_by_test_id(test_id).inner_text()

    async def state(self, transport: str) -> str:
        return await self.text(f"state-{transport}")

    async def watched(self, what: str) -> Any:
        """refused: what its policy refused. shifts: [how much, what moved ...]. words: [transport, word, ms since 1970]."""
        return await self.page.evaluate(f"() => watched.{what}")

    async def contains(self, selector: str, text: str) -> bool:
        return text in await self.page.locator(selector).inner_text()

    async def shot(self, name: str, folder: Path, *, whole: bool = True) -> None:
        """A picture of the whole page, or of what is in its window."""
        place = Path(SHOTS) if SHOTS else folder
        place.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=place / f"{name}.png", full_page=whole)


@dataclass
class Chromium:
    """One that runs. Each context is somebody else: nothing that is kept is shared."""

    browser: Browser

    async def context(
        self, *, width: int = 1440, height: int = 900, theme: Theme = "light"
    ) -> BrowserContext:
        return await self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce"
        )

    async def open(self, url: str, *, context: BrowserContext | None = None, **size: Any) -> Browsed:
        """A page at this address; in a context of its own, unless one is given."""
        if context is None:
            context = await self.context(**size)
        found = Browsed(await context.new_page())
        page = found.page
        await page.add_init_script(WATCH)
        page.on("request", lambda one: found.asked.append(one.url))
        page.on("pageerror", lambda one: found.complaints.append(str(one)))
        page.on(
            "console",
            lambda one: found.complaints.append(one.text) if one.type in ("error", "warning") else None,
        )
        await page.goto(url)
        return found


@contextlib.asynccontextmanager
async def chromium(*more: str) -> AsyncIterator[Chromium]:
    """A browser for the length of the block. more: of its options."""
    program = needs.chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(program), args=[*OPTIONS, *more])
        try:
            yield Chromium(browser)
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def chromium_that_throttles(folder: Path) -> AsyncIterator[tuple[Chromium, BrowserContext]]:
    """One as a person starts it. Playwright tells every page that it is looked at, and switches off what saves power; here a page
    behind another one is hidden, and after three seconds, instead of five minutes, its timers are fired once a minute. folder: its
    profile."""
    program, port = needs.chromium(), folder / "DevToolsActivePort"
    throttled = "--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/3"
    process = await asyncio.create_subprocess_exec(
        program, *OPTIONS, "--headless", "--remote-debugging-port=0", f"--user-data-dir={folder}", throttled,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:

        async def listens() -> bool:
            return port.exists() and len(port.read_text().split()) == 2

        await until(listens, "the browser can be asked")
        async with async_playwright() as playwright:
            url = f"http://127.0.0.1:{port.read_text().split()[0]}"
            browser = await playwright.chromium.connect_over_cdp(url, no_defaults=True)
            yield Chromium(browser), browser.contexts[0]
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def browsing(url: str, **size: Any) -> AsyncIterator[Browsed]:
    """The page at this address, in a browser of its own."""
    async with chromium() as browser:
        yield await browser.open(url, **size)


def renderers() -> list[psutil.Process]:
    """The processes that run the pages of this process's browsers."""
    found = []
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "--type=renderer" in one.cmdline():
                found.append(one)
    return found


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for it, with a deadline."""
    end = time.monotonic() + DEADLINE_S
    while not await condition():
        if time.monotonic() > end:
            pytest.fail(f"not within {DEADLINE_S:g} s: {what}")
        await asyncio.sleep(0.05)
