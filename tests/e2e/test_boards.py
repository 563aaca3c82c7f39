"""Dashboards of others in a browser, moved to /client.js: whatever happens to an open page, it gets every event."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import httpx
import psutil
import pytest

from migctl.config import Target
from migctl.server.access.tokens import mint_token
from migctl.stack.launcher import any_free_port
from tests.kit.boards import Board, allowing, handing_out, head, open_board
from tests.kit.browsing import Chromium, chromium, renderers, until
from tests.kit.serve_process import ServeProcess, run, serving_process
from tests.kit.targets import environment_of

LOAD = ("--mode", "dual", "--source", "host", "--rate", "100")
# Sockets that say nothing are noticed soon, so that a nap is as long as a night.
NAP = "gateway: { heartbeat_s: 0.5 }\n"
SLEPT_EVENTS = 400


@pytest.fixture
async def origin() -> AsyncIterator[str]:
    """Where the pages are from: not serve's own."""
    async with handing_out() as origin:
        yield origin


@pytest.fixture
async def browser() -> AsyncIterator[Chromium]:
    async with chromium() as browser:
        yield browser


@contextmanager
def serving(folder: Path, target: Target, *options: str, **more: str) -> Iterator[ServeProcess]:
    with serving_process(folder, *LOAD, *options, more={**environment_of(target), **more}) as serve:
        yield serve


async def attached_to(board: Board, *transports: str) -> None:
    async def is_so() -> bool:
        return await board.attached() == sorted(transports)

    await until(is_so, f"the page is on {', '.join(transports)}")


async def on_from(url: str, events: int, headers: Mapping[str, str] | None = None) -> None:
    """Until the journal has so many events more."""
    goal = head(url, headers) + events

    async def is_there() -> bool:
        return await asyncio.to_thread(head, url, headers) >= goal

    await until(is_there, f"the journal has event {goal}")


@pytest.mark.parametrize("assigned", ["websocket", "realtime"])
@pytest.mark.parametrize("way", ["frozen", "stopped"])
@pytest.mark.slow
async def test_a_page_that_slept_wakes_at_its_position_and_misses_nothing(
    origin: str, browser: Chromium, standin: Target, tmp_path: Path, way: str, assigned: str
) -> None:
    folder = tmp_path / "serve"
    allowing(folder, origin, NAP)
    with serving(folder, standin, MIGCTL_FLAG_TRANSPORT=assigned) as serve:
        board = await open_board(browser, origin, serve.url, user="ann")
        await attached_to(board, assigned)
        before = await board.get("changes.length")
        page = board.browsed.page
        if way == "frozen":
            # As the browser does with a page that nobody looks at; its sockets stay, and fill up.
            session = await page.context.new_cdp_session(page)
            await session.send("Page.setWebLifecycleState", {"state": "frozen"})
            await on_from(serve.url, SLEPT_EVENTS)
            await session.send("Page.setWebLifecycleState", {"state": "active"})
        else:
            # As the lid of a laptop does: everything of the browser stands still.
            found = [one for one in psutil.Process().children(recursive=True) if "chrom" in one.name()]
            assert any(one in found for one in renderers())
            with standing_still(found):
                await on_from(serve.url, SLEPT_EVENTS)
                if assigned == "websocket":
                    await until(lambda: _left(serve.url), "serve gave up the silent socket")
        await on_from(serve.url, 50)
        await board.whole(serve.url)
        await attached_to(board, assigned)
        if way == "stopped" and assigned == "websocket":
            assert await board.get("changes.length") > before  # it lost its socket, and came back


async def _left(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as http:
        status = (await http.get(f"{url}/api/status")).json()
    return bool(status["transports"]["websocket"]["subscribers"] == 0)


@contextmanager
def standing_still(processes: list[psutil.Process]) -> Iterator[None]:
    for one in processes:
        one.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for one in processes:
            one.send_signal(signal.SIGCONT)


@pytest.mark.slow
async def test_a_deploy_of_serve_under_open_pages_loses_nothing_on_either_transport(
    origin: str, browser: Chromium, standin: Target, tmp_path: Path
) -> None:
    folder, listen = tmp_path / "serve", f"127.0.0.1:{any_free_port()}"
    allowing(folder, origin, "fallback: { hold_s: 1 }\n")
    boards: dict[str, Board] = {}
    with serving(folder, standin, "--listen", listen) as serve:
        done = run(
            folder,
            "flags",
            "assign",
            "bob",
            "realtime",
            "--yes",
            "--reason",
            "a test",
            more=environment_of(standin),
        )
        assert done.returncode == 0, done.stderr
        for user, transport in (("ann", "websocket"), ("bob", "realtime")):
            boards[user] = await open_board(browser, origin, serve.url, user=user)
            await attached_to(boards[user], transport)
        await on_from(serve.url, 50)
        serve.stop()
    with serving(folder, standin, "--listen", listen) as serve:
        await on_from(serve.url, 100)
        for user, transport in (("ann", "websocket"), ("bob", "realtime")):
            await boards[user].whole(serve.url)
            await attached_to(boards[user], transport)


@pytest.mark.slow
async def test_a_token_of_realtime_that_ends_is_renewed_while_the_page_is_open(
    origin: str, browser: Chromium, standin: Target, tmp_path: Path
) -> None:
    folder = tmp_path / "serve"
    allowing(folder, origin, "realtime: { token_ttl_s: 5 }\n")
    with serving(folder, standin, MIGCTL_FLAG_TRANSPORT="realtime") as serve:
        board = await open_board(browser, origin, serve.url, user="ann")
        await attached_to(board, "realtime")
        await on_from(serve.url, 1200)  # twelve seconds: two lives of a token
        await board.whole(serve.url)
        assert await board.attached() == ["realtime"]
        lost = [one for one in await board.get("logs") if one[1] in ("connection lost", "token not renewed")]
        assert lost == []  # the channel was given the next token before the old one ended


async def test_a_token_that_serve_takes_no_more_is_said_and_the_next_one_brings_what_was_missed(
    origin: str, browser: Chromium, tmp_path: Path
) -> None:
    folder, listen = tmp_path / "serve", ("--listen", f"127.0.0.1:{any_free_port()}")
    load = ("--mode", "websocket", "--source", "host", "--rate", "100")
    allowing(folder, origin)
    (old_text, old), (new_text, new) = mint_token("subscribe", "old"), mint_token("subscribe", "new")
    context = await browser.context()
    with serving_process(folder, *load, *listen, more={"MIGCTL_TOKENS": old.entry}) as serve:
        board = await open_board(browser, origin, serve.url, context=context, token=old_text, keep="board")
        await until(lambda: board.has(50), "events come")
        serve.stop()
    with serving_process(folder, *load, *listen, more={"MIGCTL_TOKENS": new.entry}) as serve:

        async def refused() -> bool:
            return await board.get("error") is not None

        await until(refused, "the page says that its token is refused")
        error = await board.get("error")
        assert "give a token" in error["do"]
        assert old_text not in str(error)
        seqs = await board.seqs()
        assert seqs == list(range(await board.get("ready.seq") + 1, seqs[-1] + 1))
        again = await open_board(browser, origin, serve.url, context=context, token=new_text, keep="board")
        await until(lambda: again.has(seqs[-1] + 100), "the new token brings what came since")
        found = await again.seqs()
        assert found[0] <= seqs[-1] + 1
        assert found == list(range(found[0], found[-1] + 1))


@pytest.mark.slow
async def test_with_realtime_beside_it_a_refused_token_is_logged_and_events_go_on(
    origin: str, browser: Chromium, standin: Target, tmp_path: Path
) -> None:
    folder, listen = tmp_path / "serve", f"127.0.0.1:{any_free_port()}"
    allowing(folder, origin)
    (old_text, old), (new_text, new) = mint_token("subscribe", "old"), mint_token("subscribe", "new")
    with serving(folder, standin, "--listen", listen, MIGCTL_TOKENS=old.entry) as serve:
        board = await open_board(browser, origin, serve.url, token=old_text)
        await attached_to(board, "websocket")
        await until(lambda: board.has(50), "events come")
        serve.stop()
    with serving(folder, standin, "--listen", listen, MIGCTL_TOKENS=new.entry) as serve:
        headers = {"Authorization": f"Bearer {new_text}"}
        await attached_to(board, "realtime")
        await on_from(serve.url, 100, headers)
        await board.whole(serve.url, headers=headers)

        async def reasons() -> list[str]:
            return [str(more) for _, _, more in await board.get("logs")]

        async def refused() -> bool:
            return any("401" in reason for reason in await reasons())

        await until(refused, "the refusal is logged")
        assert not any(old_text in reason for reason in await reasons())


@pytest.mark.parametrize("tokens", [False, True], ids=["open", "with tokens"])
async def test_a_page_of_an_origin_that_is_not_named_is_refused_and_names_the_setting(
    origin: str, browser: Chromium, tmp_path: Path, tokens: bool
) -> None:
    folder, (text, token) = tmp_path / "serve", mint_token("subscribe", "board")
    allowing(folder, "http://127.0.0.1:1")
    more = {"MIGCTL_TOKENS": token.entry} if tokens else {}
    with serving_process(folder, "--mode", "websocket", more=more) as serve:
        options = {"waitS": 1, **({"token": text} if tokens else {})}
        query = {"serve": serve.url, "client": f"{origin}/client.js", "options": json.dumps(options)}
        board = Board(await browser.open(f"{origin}/board.html?{urlencode(query)}"))

        async def refused() -> bool:
            return await board.get("error") is not None

        await until(refused, "the page says that it is refused")
        error = await board.get("error")
        assert error["what"].startswith(f"{serve.url} does not answer")
        assert error["do"] == f"see that it runs, and lets pages of {origin} in (legacy.origins)"
        assert text not in str(error)
        assert (await board.get("ready"), await board.get("items.length")) == (None, 0)
        # It was the browser that kept the answer from the page, and not a serve that was away.
        assert any("CORS policy" in one for one in board.browsed.complaints)
        # No socket stands open to it either.
        headers = {"Authorization": f"Bearer {text}"} if tokens else {}
        status = httpx.get(f"{serve.url}/api/status", headers=headers, trust_env=False).json()
        assert status["transports"]["websocket"]["subscribers"] == 0
        serve.stop()
    # The same page, once its origin is named.
    allowing(folder, origin)
    with serving_process(folder, "--mode", "websocket", more=more) as serve:
        board = await open_board(browser, origin, serve.url, **options)
        await attached_to(board, "websocket")
