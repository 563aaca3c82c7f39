"""A browser: Debian's Chromium, headless, and what its page asked for and complained of."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Page, async_playwright

from tests.kit import needs

OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
DEADLINE_S = 30.0


@dataclass
class Browsed:
    """page: open at `serve`. asked: addresses that it asked for. complaints: of the console, and errors that nobody caught."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def text(self, test_id: str) -> str:
        return await self.page.get_by_test_id(test_id).inner_text()


@contextlib.asynccontextmanager
async def browsing(url: str, *, width: int = 1440, height: int = 900) -> AsyncIterator[Browsed]:
    """The page at this address, in a browser of its own."""
    program = needs.chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(program), args=OPTIONS)
        try:
            page = await browser.new_page(viewport={"width": width, "height": height})
            found = Browsed(page)
            page.on("request", lambda one: found.asked.append(one.url))
            page.on("pageerror", lambda one: found.complaints.append(str(one)))
            page.on(
                "console",
                lambda one: found.complaints.append(one.text) if one.type in ("error", "warning") else None,
            )
            await page.goto(url)
            yield found
        finally:
            await browser.close()


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for it, with a deadline."""
    end = time.monotonic() + DEADLINE_S
    while not await condition():
        if time.monotonic() > end:
            pytest.fail(f"not within {DEADLINE_S:g} s: {what}")
        await asyncio.sleep(0.05)
