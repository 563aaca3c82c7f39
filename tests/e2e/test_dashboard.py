"""The dashboard in a real browser, before a real serve: its figures are those of the status, and what is done there is done."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from migctl.config import Target
from migctl.dashboard.building import lacking
from migctl.stack.standin_process import StandinProcess
from tests.kit.browsing import Browsed, browsing, until
from tests.kit.serve_process import run, serving_process
from tests.kit.targets import environment_of

LOAD = ("--mode", "dual", "--source", "host", "--rate", "200")
WITNESSED = {"MIGCTL_WITNESS": "on"}


@pytest.mark.slow
async def test_figures_agree_with_the_status_and_nothing_foreign_is_asked(
    standin: Target, tmp_path: Path
) -> None:
    with serving_process(tmp_path / "serve", *LOAD, more={**environment_of(standin), **WITNESSED}) as serve:
        async with browsing(serve.url) as browsed:

            async def flowing() -> bool:
                rates = [await browsed.text(f"rate-{name}") for name in ("websocket", "realtime")]
                return all(rate.isdigit() and int(rate) > 50 for rate in rates)

            await until(flowing, "both rates are on the page")

            async def agree() -> bool:
                live = httpx.get(f"{serve.url}/api/status").json()["witness"]["live"]
                shown = [await browsed.text(f"rate-{name}") for name in live]
                return shown == [str(round(of["rate_per_s"])) for of in live.values()]

            await until(agree, "the page has the status's rates")
            metrics = httpx.get(f"{serve.url}/metrics").text
            for name in ("websocket", "realtime"):
                assert await browsed.text(f"state-{name}") == "connected"
                assert f'migctl_indicator_state{{state="connected",transport="{name}"}} 1.0' in metrics
            assert await browsed.text("match-percent") == "none"  # no window has closed, and that is no 100

            async def has_rollout() -> bool:
                return await browsed.text("rollout-percent") == "0"

            await until(has_rollout, "the share is on the page")
            assert int((await browsed.text("backlog")).replace(",", "")) >= 0
            await browsed.page.locator("#events tbody tr:not([hidden])").first.click()
            await until(lambda: _in(browsed, "#story-list", "durable"), "the event's story")
            if lacking() is None:
                assert await browsed.page.locator(".uplot").count() == 2
            await browsed.shot("healthy", tmp_path)
            await browsed.page.set_viewport_size({"width": 360, "height": 740})
            assert await browsed.page.evaluate("document.documentElement.scrollWidth") == 360
            assert [url for url in browsed.asked if not url.startswith(serve.url)] == []
            assert browsed.complaints == []


async def _in(browsed: Browsed, selector: str, text: str) -> bool:
    return text in await browsed.page.locator(selector).inner_text()


@pytest.mark.slow
async def test_a_supabase_that_is_gone_shows_as_fallback_while_events_go_on(
    process: StandinProcess, target: Target, tmp_path: Path
) -> None:
    folder, environ = tmp_path / "serve", environment_of(target)
    with serving_process(folder, *LOAD, more={**environ, **WITNESSED}) as serve:
        done = run(folder, "flags", "assign", "bob", "realtime", "--yes", "--reason", "a test", more=environ)
        assert done.returncode == 0, done.stderr
        async with browsing(serve.url) as browsed:

            async def connected() -> bool:
                return await browsed.text("state-realtime") == "connected"

            await until(connected, "Realtime is connected")
            await browsed.page.locator("#user").fill("bob")
            await until(lambda: _in(browsed, "#assigned", "realtime"), "bob has Realtime")
            process.stop()

            async def fell() -> bool:
                words = [await browsed.text(f"state-{name}") for name in ("websocket", "realtime")]
                rates = [await browsed.text(f"rate-{name}") for name in ("websocket", "realtime")]
                return words == ["connected", "fallback"] and rates[1] == "0" and int(rates[0]) > 50

            await until(fell, "Realtime is in fallback, and events go on")
            await until(lambda: _in(browsed, "#assigned", "now on websocket"), "where bob is meanwhile")
            # It is asked for once in thirty seconds, in which the status is asked for a hundred times; and anew where that changed.
            assigned = [n for n, url in enumerate(browsed.asked) if "/api/transport" in url]
            between = browsed.asked[assigned[-2] : assigned[-1]]
            assert sum("/api/status" in url for url in between) < 60
            await browsed.shot("fallback", tmp_path)


async def test_a_person_raises_and_aborts_from_the_page_and_the_audit_has_who_and_why(
    standin: Target, tmp_path: Path
) -> None:
    more = environment_of(standin)
    with serving_process(tmp_path / "serve", "--mode", "dual", more=more) as serve:
        async with browsing(serve.url) as browsed:
            await _move(browsed, "set", "the first quarter", percent="25")
            await until(lambda: _shows(browsed, "25"), "a quarter has Realtime")
            await _move(browsed, "abort", "too slow in the shop")
            await until(lambda: _shows(browsed, "0"), "nobody has Realtime")
            await browsed.shot("aborted", tmp_path)
        done = run(tmp_path / "serve", "rollout", "history", "--output", "json", more=more)
        entries = json.loads(done.stdout)["entries"]
        found = {(one["actor"], one["reason"]) for one in entries}
        assert {("dashboard", "the first quarter"), ("dashboard", "too slow in the shop")} <= found


async def _shows(browsed: Browsed, percent: str) -> bool:
    return await browsed.text("rollout-percent") == percent


async def _move(browsed: Browsed, action: str, reason: str, *, percent: str | None = None) -> None:
    page = browsed.page
    await page.locator(f'button[data-action="{action}"]').click()
    if percent is not None:
        await page.locator("#ask-percent").fill(percent)
    await page.locator("#ask-reason").fill(reason)
    await page.locator("#ask-yes").click()
    await until(lambda: _in(browsed, "#ask-yes", "Yes"), f"what {action} would do is shown")
    await page.locator("#ask-yes").click()
    await page.locator("#ask").wait_for(state="hidden", timeout=30_000)
