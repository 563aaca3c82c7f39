"""The page's figures against `/api/status` and `/metrics`, all at once; and what they show when something is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from migctl import clock
from migctl.config import Target
from migctl.stack.standin_process import StandinProcess
from tests.kit import exposition
from tests.kit.browsing import Browsed, browsing, until
from tests.kit.serve_process import ServeProcess, run, serving_process
from tests.kit.targets import environment_of
from tests.kit.walking import write_settings

TRANSPORTS = ("websocket", "realtime")
FIGURES = (
    "rate-websocket", "rate-realtime", "state-websocket", "state-realtime", "match-percent", "backlog", "rollout-percent",
)  # fmt: skip


def number(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)


def shown(text: str) -> float | None:
    return None if text == "none" else float(text.replace(",", ""))


async def on_page(browsed: Browsed) -> dict[str, Any]:
    """Every figure in one moment."""
    figures = (
        "[...document.querySelectorAll('[data-testid]')].map((one) => [one.dataset.testid, one.innerText])"
    )
    texts = await browsed.page.evaluate(f"() => Object.fromEntries({figures})")
    return {name: texts[name] if name.startswith("state") else shown(texts[name]) for name in FIGURES}


def of_status(of: Any) -> dict[str, Any]:
    witness = of["witness"] or {"live": {}, "window": None}
    window = witness["window"]
    return {
        **{f"rate-{name}": number(witness["live"].get(name, {}).get("rate_per_s")) for name in TRANSPORTS},
        **{f"state-{name}": of["indicators"][name]["state"] for name in TRANSPORTS},
        "match-percent": number(window["match_percent"]) if window is not None else None,
        "backlog": of["relay"]["backlog"],
        "rollout-percent": (of["flags"]["effective"] or {"percent": None})["percent"],
    }


def of_metrics(page: bytes) -> dict[str, Any]:
    families = exposition.read(page)

    def value(name: str, **labels: str) -> float | None:
        family = families.get(name)
        return None if family is None else number(family.samples.get((name, frozenset(labels.items()))))

    def total(name: str, transport: str) -> float | None:
        of = families.get(name)
        found = [
            one
            for (_, labels), one in (of.samples if of else {}).items()
            if ("transport", transport) in labels
        ]
        return number(sum(found)) if found else None

    def state(transport: str) -> str:
        (found,) = [
            dict(labels)["state"]
            for (_, labels), one in families["migctl_indicator_state"].samples.items()
            if one == 1 and ("transport", transport) in labels
        ]
        return found

    return {
        **{f"rate-{name}": total("migctl_witness_rate_events_per_second", name) for name in TRANSPORTS},
        **{f"state-{name}": state(name) for name in TRANSPORTS},
        "match-percent": value("migctl_window_match_percent"),
        "backlog": value("migctl_relay_backlog_events"),
        "rollout-percent": value("migctl_flags_share_percent", share="effective", split="all"),
    }


def alike(name: str, page: Any, exact: Any) -> bool:
    """As the page rounds: rates to whole numbers from 10 on, a match never up to a hundred."""
    if page is None or exact is None or isinstance(exact, str):
        return page == exact
    if name.startswith("rate"):
        return abs(page - exact) <= (0.5 if exact >= 10 else 0.05) + 1e-6
    return abs(page - exact) <= 0.001


async def all_agree(
    browsed: Browsed, serve: ServeProcess, only: tuple[str, ...] = FIGURES
) -> dict[str, Any] | None:
    """The figures of one moment, where page, status and metrics say the same of each; None where they don't."""
    async with httpx.AsyncClient(base_url=serve.url, trust_env=False) as http:
        status = of_status((await http.get("/api/status")).json())
        page = await on_page(browsed)
        metrics = of_metrics((await http.get("/metrics")).content)
    same = all(
        alike(name, page[name], status[name]) and alike(name, page[name], metrics[name]) for name in only
    )
    return status if same else None


@pytest.mark.slow
async def test_page_status_and_metrics_agree_on_all_seven_figures_at_once(
    standin: Target, tmp_path: Path
) -> None:
    folder = tmp_path / "serve"
    write_settings(folder)
    more = {**environment_of(standin), "MIGCTL_WITNESS": "on"}
    found: dict[str, Any] = {}

    async def agree(only: tuple[str, ...]) -> bool:
        now = await all_agree(browsed, serve, only)
        if now is not None:
            found.clear()
            found.update(now)
        return now is not None

    with serving_process(folder, "--mode", "dual", more=more) as serve:
        async with browsing(serve.url) as browsed:
            moving = tuple(name for name in FIGURES if name != "backlog")

            async def flows() -> bool:
                return (
                    await agree(moving) and found["match-percent"] is not None and found["rate-realtime"] > 5
                )

            async with serve.posting():
                await until(flows, "all agree while events flow")
            assert (found["state-websocket"], found["match-percent"]) == ("connected", 100)
            # Another share, a backlog, and a transport that is away: none of the seven is where it was.
            set_ = run(folder, "rollout", "set", "25", "--yes", "--reason", "a test", more=more)
            assert set_.returncode == 0, set_.stderr
            assert run(folder, "ctl", "throttle", "a test", more=more).returncode == 0
            await serve.post(137)

            async def still() -> bool:
                return await agree(FIGURES) and found["backlog"] == 137 and found["rollout-percent"] == 25

            await until(still, "all agree with a backlog of 137 and a quarter on Realtime")
            assert run(folder, "ctl", "no-throttle", more=more).returncode == 0

            async def drained() -> bool:
                return await agree(FIGURES) and found["backlog"] == 0

            await until(drained, "the backlog is gone on all three")


@pytest.mark.slow
async def test_the_match_is_on_the_page_within_eight_seconds_of_the_first_window(
    standin: Target, tmp_path: Path
) -> None:
    """The window's own grace of five seconds, and what comes after it."""
    folder = tmp_path / "serve"
    folder.mkdir()
    (folder / "migctl.yaml").write_text("evidence: { window_s: 6 }\n")
    more = {**environment_of(standin), "MIGCTL_WITNESS": "on"}
    with serving_process(folder, "--mode", "dual", more=more) as serve:
        async with browsing(serve.url) as browsed, serve.posting():
            assert await browsed.text("match-percent") == "none"

            async def matched() -> bool:
                return await browsed.text("match-percent") != "none"

            await until(matched, "the match of the first window")
            at = clock.now()
            window = httpx.get(f"{serve.url}/api/status", trust_env=False).json()["witness"]["window"]
            ended = datetime.fromisoformat(window["started_at"]) + timedelta(seconds=6)
            assert at - ended < timedelta(seconds=8)


@pytest.mark.slow
async def test_since_when_is_the_moment_of_the_outage_though_nobody_asked_then(
    process: StandinProcess, target: Target, tmp_path: Path
) -> None:
    with serving_process(tmp_path / "serve", "--mode", "dual", more=environment_of(target)) as serve:

        async def word() -> str:
            async with httpx.AsyncClient(base_url=serve.url, trust_env=False) as http:
                return str((await http.get("/api/status")).json()["indicators"]["realtime"]["state"])

        async def connected() -> bool:
            return await word() == "connected"

        await until(connected, "Realtime is connected")
        stopped = datetime.now(UTC)
        process.stop()
        # Nobody asks for a while: the log, which is not asked, says when it was so and that time has gone on.
        log = tmp_path / "serve" / "serve.log"

        async def long_ago() -> bool:
            fell = [
                json.loads(line)
                for line in log.read_text().splitlines()
                if '"subscribers sent to another' in line
            ]
            return bool(fell) and datetime.now(UTC) - stopped > timedelta(seconds=6)

        await until(long_ago, "the outage is some seconds old")
        async with browsing(serve.url) as browsed:
            since = browsed.page.locator('[data-since="realtime"]')

            async def fallback() -> bool:
                return (
                    await browsed.text("state-realtime") == "fallback" and "since" in await since.inner_text()
                )

            await until(fallback, "a page that is opened later shows the fallback")
            text = await since.inner_text()
        at = datetime.fromisoformat(
            httpx.get(f"{serve.url}/api/status", trust_env=False).json()["indicators"]["realtime"]["since"]
        )
        assert timedelta(0) <= at - stopped < timedelta(seconds=3)
        assert text.startswith(f"since {at:%H:%M:%S} UTC, for ")


async def test_events_come_without_being_asked_for_and_an_old_id_has_its_story(
    standin: Target, tmp_path: Path
) -> None:
    more = environment_of(standin)
    with serving_process(tmp_path / "serve", "--mode", "dual", more=more) as serve:
        first = {"id": "order-7", "event_type": "order.paid", "data": {"city": "Łódź"}}
        assert httpx.post(f"{serve.url}/events", json=first, trust_env=False).status_code == 201
        for _ in range(3):
            await serve.post(1000)  # it is older than what the page keeps
        async with browsing(serve.url) as browsed:
            rows = browsed.page.locator("#events tbody tr:not([hidden])")

            async def newest() -> bool:
                return (
                    await rows.count() == 100 and await rows.first.locator("td").first.inner_text() == "3001"
                )

            await until(newest, "the newest hundred")
            asked = [one for one in browsed.asked if "/api/tail" in one or "/events" in one]
            await serve.post(7)

            async def came() -> bool:
                return await rows.first.locator("td").first.inner_text() == "3008"

            await until(came, "what was posted is at the top")
            assert [one for one in browsed.asked if "/api/tail" in one or "/events" in one] == asked

            search = browsed.page.locator("#search")
            await search.fill("łódź")

            async def found() -> bool:
                return await rows.count() == 1 and "order.paid" in await rows.first.inner_text()

            await until(found, "one that the page never had is found by its text")
            await search.fill("order-7")
            await search.press("Enter")
            story = browsed.page.locator("#story-list")

            async def told() -> bool:
                text = await story.inner_text()
                return all(word in text for word in ("order-7", "delivered", "read back", "/1", "Accepted"))

            await until(told, "the story of the old one")
            await search.fill("no-such-order")
            await search.press("Enter")

            async def unknown() -> bool:
                return "unknown" in await story.inner_text() and await rows.count() == 0

            await until(unknown, "what was never there is said to be unknown")
            assert browsed.complaints == []
