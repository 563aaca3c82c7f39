"""A dashboard of others in a tab that nobody looks at: its timers are fired once a minute, and it gets every event all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.async_api import BrowserContext

from migctl.config import Target
from migctl.faults.tcp_proxy import tcp_proxy
from migctl.stack.standin_process import StandinProcess
from tests.kit.boards import Board, allowing, handing_out, head, open_board
from tests.kit.browsing import Chromium, chromium_that_throttles, until
from tests.kit.serve_process import run, serving_process
from tests.kit.targets import environment_of

# Timers as a page has them that knows nothing of this, one set by the other; how late each was, in milliseconds.
CHAIN = """() => {
  window.late = [];
  let due = performance.now() + 500;
  const next = () => {
    late.push(performance.now() - due);
    due = performance.now() + 500;
    setTimeout(next, 500);
  };
  setTimeout(next, 500);
}"""
STARVED_MS = 20_000
STARVED_WITHIN_S = 150


class Behind(NamedTuple):
    """A browser whose pages go behind each other, and the origin of the pages."""

    browser: Chromium
    context: BrowserContext
    origin: str

    async def open(self, url: str, user: str, transport: str) -> Board:
        """A page that is attached, and then hidden by another tab."""
        board = await open_board(self.browser, self.origin, url, context=self.context, user=user)
        await attached(board, transport)
        await board.browsed.page.evaluate(CHAIN)
        front = await self.context.new_page()
        await front.goto("about:blank")
        await front.bring_to_front()
        return board


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[Behind]:
    async with handing_out() as origin, chromium_that_throttles(tmp_path / "profile") as (browser, context):
        yield Behind(browser, context, origin)


async def attached(board: Board, *transports: str) -> None:
    async def is_so() -> bool:
        return await board.attached() == sorted(transports)

    await until(is_so, f"the page is on {', '.join(transports) or 'nothing'}")


async def starved(board: Board, times: int = 1) -> None:
    """So many timers of the page came that late: nobody looks at it, and the browser saves power."""
    count = f"() => late.filter((one) => one > {STARVED_MS}).length"
    async with asyncio.timeout(STARVED_WITHIN_S):
        while await board.browsed.page.evaluate(count) < times:
            await asyncio.sleep(0.2)
    assert await board.browsed.page.evaluate("() => document.visibilityState") == "hidden"


@pytest.mark.slow
async def test_a_page_that_nobody_looks_at_keeps_its_transport_and_goes_through_an_outage(
    behind: Behind, process: StandinProcess, target: Target, tmp_path: Path
) -> None:
    folder, environ = tmp_path / "serve", environment_of(target)
    allowing(folder, behind.origin, "fallback: { hold_s: 1 }\n")
    with serving_process(folder, "--mode", "dual", more=environ) as serve:
        assign = ("flags", "assign", "bob", "realtime", "--yes", "--reason", "a test")
        assert run(folder, *assign, more=environ).returncode == 0
        ann = await behind.open(serve.url, "ann", "websocket")
        bob = await behind.open(serve.url, "bob", "realtime")
        await serve.post(3)
        await starved(bob, 2)  # quiet all the while
        await serve.post(3)
        for board in (ann, bob):
            await board.whole(serve.url)
            assert [one for one in await board.get("logs") if one[1] == "connection lost"] == []
        process.stop()
        await attached(bob, "websocket")
        await serve.post(3)
        await bob.whole(serve.url)
        process.start()
        await attached(bob, "realtime")
        await serve.post(3)
        for board in (ann, bob):
            await board.whole(serve.url)
        assert await bob.browsed.page.evaluate("() => document.visibilityState") == "hidden"


@pytest.mark.slow
async def test_a_line_that_falls_silent_under_a_page_that_nobody_looks_at_is_left_for_a_new_one(
    behind: Behind, tmp_path: Path
) -> None:
    folder = tmp_path / "serve"
    allowing(folder, behind.origin)
    with serving_process(folder, "--mode", "websocket") as serve:
        async with tcp_proxy(int(serve.url.rsplit(":", 1)[1])) as line:
            ann = await behind.open(line.url, "ann", "websocket")
            await serve.post(3)
            await ann.whole(serve.url)
            await starved(ann)
            # Nobody closes it, and what is sent from now on vanishes.
            line.swallow()
            await serve.post(3)
            line.swallow(False)
            await until(
                lambda: ann.has(head(serve.url)), "the page has what was sent while its line was dead"
            )
            await ann.whole(serve.url)
            assert await ann.browsed.page.evaluate("() => document.visibilityState") == "hidden"
