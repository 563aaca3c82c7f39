"""Pictures of every state of the dashboard, in both themes, on a desktop and on a phone: kept, for people to look at.

What can be checked is: the words of the state are there, nothing is wider than the page, and nothing complains.
"""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from migctl.config import Target
from migctl.stack.standin_process import StandinProcess
from tests.kit.browsing import PHONE, Browsed, chromium, until
from tests.kit.serve_process import run, serving_process
from tests.kit.targets import environment_of
from tests.kit.walking import write_settings, write_stages

SIZES = {"desktop": (1200, 860), "phone": PHONE}
THEMES = ("light", "dark")
LOAD = ("--mode", "dual", "--source", "host", "--rate", "200")


@pytest.mark.slow
async def test_every_state_is_said_in_both_themes_and_at_both_widths(
    process: StandinProcess, target: Target, tmp_path: Path
) -> None:
    folder = tmp_path / "serve"
    write_settings(folder)
    too_strict = {"max_delay_p99_ms": 0.001, "min_events": 5}
    write_stages(folder, s2b_50={"gates": [{"max_lost": 0, "min_events": 5}, too_strict]})
    more = {**environment_of(target), "MIGCTL_WITNESS": "on"}

    async def migctl(*words: str) -> None:
        done = await asyncio.to_thread(run, folder, *words, more=more)
        assert done.returncode == 0, done.stdout + done.stderr

    async with chromium() as browser:
        pages: dict[str, Browsed] = {}

        async def all_have(selector: str, text: str) -> None:
            for name, browsed in pages.items():
                await until(
                    lambda browsed=browsed: browsed.contains(selector, text),
                    f"{selector} of {name} has {text!r}",
                )

        async def picture(state: str, *, whole: bool = True) -> None:
            for name, browsed in pages.items():
                await browsed.shot(f"{state}-{name}", tmp_path, whole=whole)
                width = await browsed.page.evaluate("document.documentElement.scrollWidth")
                assert width == SIZES[name.split("-")[0]][0], (state, name)
                assert await browsed.watched("refused") == []

        with serving_process(folder, *LOAD, more=more) as serve:
            for (size, (width, height)), theme in itertools.product(SIZES.items(), THEMES):
                pages[f"{size}-{theme}"] = await browser.open(
                    serve.url, width=width, height=height, theme=theme
                )
            await migctl("rollout", "set", "25", "--yes", "--reason", "the first quarter")
            await all_have("#window", "minute")
            await all_have('[data-testid="rollout-percent"]', "25")
            for browsed in pages.values():
                await browsed.page.locator("#events tbody tr button").first.click()
            await all_have('[data-testid="state-realtime"]', "connected")
            await picture("healthy")
            await all_have("#ro-state", "paused by a person")
            await picture("rollout-paused")
            await migctl("rollout", "set", "50", "--yes", "--reason", "it holds")
            await all_have("#gates", "fail")
            await picture("gate-failed")
            await migctl("ctl", "throttle", "a backup of the database")
            await all_have('[data-testid="state-realtime"]', "catching up")
            await picture("catching-up")
            await migctl("ctl", "no-throttle")
            await all_have('[data-testid="state-realtime"]', "connected")
            process.stop()
            await all_have('[data-testid="state-realtime"]', "fallback")
            await picture("fallback")
            for browsed in pages.values():
                await browsed.page.locator('button[data-action="abort"]').click()
            await picture("asked", whole=False)
            for browsed in pages.values():
                await browsed.page.keyboard.press("Escape")
            serve.stop()
        await all_have("#health", "serve does not answer")
        await all_have('[data-testid="state-websocket"]', "down")
        await picture("both-down")
        assert all(
            "Failed to load resource" in one or "ERR_" in one
            for browsed in pages.values()
            for one in browsed.complaints
        )
