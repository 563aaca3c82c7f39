"""A quarter of forty open pages moves to Realtime: those that the hash names, and none of the forty misses an event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

from migctl.config import Target
from tests.kit.boards import Board, allowing, handing_out, open_board
from tests.kit.browsing import chromium, until
from tests.kit.serve_process import run, serving_process
from tests.kit.targets import environment_of

USERS = [f"board-{number}" for number in range(40)]
# A process for each page is more than two cores start in a minute.
FEW = "--renderer-process-limit=4"


def a_quarter(users: Sequence[str]) -> set[str]:
    """Who has Realtime at 25 %, as flagd's own core says."""
    flag = {
        "state": "ENABLED",
        "variants": {"realtime": "realtime", "websocket": "websocket"},
        "defaultVariant": "websocket",
        "targeting": {"fractional": [["realtime", 25], ["websocket", 75]]},
    }
    core = FlagdCore()
    core.set_flags(json.dumps({"flags": {"transport": flag}}))
    return {
        user
        for user in users
        if core.resolve_string_value("transport", "?", EvaluationContext(user)).value == "realtime"
    }


async def on_realtime(boards: dict[str, Board]) -> set[str]:
    return {user for user, board in boards.items() if await board.attached() == ["realtime"]}


@pytest.mark.slow
async def test_those_that_the_hash_names_move_and_all_forty_pages_have_every_event(
    standin: Target, tmp_path: Path
) -> None:
    folder, expected = tmp_path / "serve", a_quarter(USERS)
    assert 8 <= len(expected) <= 12
    more = environment_of(standin)
    words = ("--mode", "dual", "--source", "host", "--rate", "10")
    async with handing_out() as origin, chromium(FEW) as browser:
        allowing(folder, origin, "fallback: { hold_s: 1 }\n")
        context = await browser.context()
        with serving_process(folder, *words, more=more) as serve:
            opening = [open_board(browser, origin, serve.url, context=context, user=user) for user in USERS]
            boards = dict(zip(USERS, await asyncio.gather(*opening), strict=True))

            def on(users: set[str]) -> Callable[[], Awaitable[bool]]:
                async def all_of_them() -> bool:
                    return await on_realtime(boards) == users

                return all_of_them

            # Forty pages that open at once keep a processor from one of them for so long that it falls back.
            await until(on(set()), "all are on the WebSocket")
            raised = await asyncio.to_thread(
                run, folder, "rollout", "set", "25", "--yes", "--reason", "a quarter", more=more
            )
            assert raised.returncode == 0, raised.stderr
            await until(on(expected), "exactly those whom the hash names are on Realtime")
            assert {
                user for user, one in boards.items() if await one.get("changes.at(-1).assigned") == "realtime"
            } == expected

            async def brought_by_it() -> bool:
                brought = {user: await board.get("items.at(-1)[2]") for user, board in boards.items()}
                return {user for user, transport in brought.items() if transport == "realtime"} == expected

            await serve.post(50)
            await asyncio.gather(*(board.whole(serve.url) for board in boards.values()))
            await until(brought_by_it, "each page's newest event came by its transport")
