"""The dashboard is pleasant: for who sees little, by keyboard, on a phone; nothing jumps, nothing is foreign, nothing grows."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migctl.dashboard.building import lacking
from migctl.stack.keys import Keys
from migctl.stack.postgres import Postgres
from tests.conftest import _migrate
from tests.kit import databases
from tests.kit.boards import head
from tests.kit.browsing import PHONE, Browsed, browsing, until
from tests.kit.node import packages
from tests.kit.serve_process import ServeProcess, serving_process
from tests.kit.targets import environment_of, standing, target_of

DESKTOP = (1440, 900)
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
MOST_SCRIPT = 400_000
# Half of what is called good.
MOST_SHIFT = 0.05


@pytest.fixture(scope="module")
def serve(
    postgres: Postgres, templates: databases.Templates, keys: Keys, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServeProcess]:
    """One for all of them: none changes anything there."""
    folder = tmp_path_factory.mktemp("pleasant")
    url = databases.clone(postgres, templates.get("template_migrated", _migrate))
    with standing(folder / "standin", url, keys) as process:
        more = {**environment_of(target_of(process, url, keys)), "MIGCTL_WITNESS": "on"}
        with serving_process(
            folder / "serve", "--mode", "dual", "--source", "host", "--rate", "200", more=more
        ) as serve:
            yield serve
    databases.drop(postgres, url)


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core (MPL-2.0) of the lock file: fetched for these tests, and no part of what is shipped."""
    folder = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(Path(__file__).parent / "axe" / name, folder)
    packages(folder, "axe-core")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


async def steady(browsed: Browsed) -> None:
    """Everything that the page asks for has come once."""

    async def is_so() -> bool:
        rates = [await browsed.text(f"rate-{name}") for name in ("websocket", "realtime")]
        rows = await browsed.page.locator("#events tbody tr:not([hidden])").count()
        return (
            all(rate.isdigit() for rate in rates)
            and await browsed.text("rollout-percent") != "none"
            and rows > 50
        )

    await until(is_so, "the page has its figures")


async def violations(browsed: Browsed, axe: str) -> list[str]:
    """What axe finds, and where."""
    await browsed.page.evaluate(axe)
    found: list[dict[str, Any]] = await browsed.page.evaluate(
        "async () => (await axe.run(document)).violations"
    )
    return [
        f"{one['impact']}: {one['id']}: {one['nodes'][0]['target']}: {one['nodes'][0]['failureSummary']}"
        for one in found
    ]


@pytest.mark.slow
async def test_axe_finds_nothing_in_either_theme_at_either_width(serve: ServeProcess, axe: str) -> None:
    async with browsing(serve.url) as browsed:
        await steady(browsed)
        await browsed.page.locator("#events tbody tr button").first.click()
        for theme, (width, height) in itertools.product(("light", "dark"), (DESKTOP, PHONE)):
            await browsed.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            await browsed.page.set_viewport_size({"width": width, "height": height})
            assert await violations(browsed, axe) == [], (theme, width)
            await browsed.page.locator('button[data-action="abort"]').click()
            assert await violations(browsed, axe) == [], (theme, width)
            await browsed.page.keyboard.press("Escape")
            await browsed.page.locator("#sign-in").click()
            assert await violations(browsed, axe) == [], (theme, width)
            await browsed.page.keyboard.press("Escape")


FOCUSED = """() => {
  const one = document.activeElement;
  const style = getComputedStyle(one);
  return [one.id || one.dataset.action || one.getAttribute("aria-label") || one.closest("[id]")?.id || one.tagName,
    style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || one.tagName === "BODY"];
}"""
# In the order of the page; what may be there between them is no matter.
STOPS = [
    "theme",
    "sign-in",
    "set",
    "abort",
    "Gates",
    "user",
    "search",
    "hold",
    "The newest events",
    "events",
]


@pytest.mark.slow
async def test_everything_is_reached_and_done_by_keyboard(serve: ServeProcess) -> None:
    async with browsing(serve.url) as browsed:
        await steady(browsed)
        keyboard, reached = browsed.page.keyboard, []
        await keyboard.press("Tab")
        await keyboard.press("Enter")  # past the buttons of the head
        assert browsed.page.url.endswith("#main")
        await browsed.page.goto(serve.url)
        await steady(browsed)
        for _ in range(40):
            await keyboard.press("Tab")
            name, visible = await browsed.page.evaluate(FOCUSED)
            assert visible, f"no one sees that {name} has the focus"
            reached.append(name)
        stops = iter(reached)
        assert all(one in stops for one in STOPS), " ".join(reached)
        # An event's story, a move of the rollout and a search, without a mouse.
        await browsed.page.locator("#hold").focus()
        await keyboard.press("Enter")
        await browsed.page.locator("#events tbody tr button").first.focus()
        await keyboard.press("Enter")
        await until(lambda: browsed.contains("#story-list", "Position"), "the event's story")
        button = browsed.page.locator('button[data-action="abort"]')
        await button.focus()
        await keyboard.press("Enter")
        await browsed.page.locator("#ask").wait_for(state="visible")
        assert (await browsed.page.evaluate(FOCUSED))[0] == "ask-reason"
        await keyboard.press("Escape")
        assert await browsed.page.locator("#ask").is_hidden()
        assert (await browsed.page.evaluate(FOCUSED))[0] == "abort"


@SIZES
@pytest.mark.slow
async def test_nothing_jumps_while_figures_come_and_change(
    serve: ServeProcess, size: tuple[int, int]
) -> None:
    async with browsing(serve.url, width=size[0], height=size[1]) as browsed:
        await steady(browsed)
        loaded = await browsed.watched("shifts")
        rounds = sum("/api/status" in url for url in browsed.asked) + 12

        async def went_on() -> bool:
            return sum("/api/status" in url for url in browsed.asked) >= rounds

        await until(went_on, "the page asked twelve times more")
        shifts = await browsed.watched("shifts")
        assert sum(one[1] for one in shifts[len(loaded) :]) < MOST_SHIFT, shifts[len(loaded) :]
        assert sum(one[1] for one in loaded) < MOST_SHIFT, loaded


# A fraction of a pixel is enough for an ellipsis.
CUT = """() => [...document.querySelectorAll("dt, th, h2, button, .unit, .row3 dd, .row4 dd")].filter((one) => {
  const range = document.createRange();
  range.selectNodeContents(one);
  const style = getComputedStyle(one);
  const room = one.getBoundingClientRect().width - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  return one.offsetParent && range.getBoundingClientRect().width > room + 0.05;
}).map((one) => one.textContent)"""


# What an empty field says of itself is cut without a sign.
CUT_HINTS = """() => [...document.querySelectorAll("input")].filter((one) => {
  const style = getComputedStyle(one);
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  const room = one.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  return one.offsetParent && pen.measureText(one.placeholder).width > room;
}).map((one) => one.placeholder)"""


async def test_nothing_is_wider_than_the_page_and_no_label_is_cut(serve: ServeProcess) -> None:
    async with browsing(serve.url) as browsed:
        await steady(browsed)
        for width in (1920, 1440, 1431, 1430, 1200, 961, 960, 761, 760, PHONE[0], 360):
            await browsed.page.set_viewport_size({"width": width, "height": 900})
            assert await browsed.page.evaluate("document.documentElement.scrollWidth") == width
            cut = await browsed.page.evaluate(CUT) + await browsed.page.evaluate(CUT_HINTS)
            assert cut == [], width


async def test_the_policy_refuses_nothing_and_scripts_are_small_and_our_own(serve: ServeProcess) -> None:
    async with browsing(serve.url) as browsed:
        await steady(browsed)
        assert await browsed.watched("refused") == []
        assert browsed.complaints == []
        assert [url for url in browsed.asked if not url.startswith(serve.url)] == []
        sizes: dict[str, int] = await browsed.page.evaluate(
            "() => Object.fromEntries(performance.getEntriesByType('resource')"
            ".filter((one) => one.name.endsWith('.js')).map((one) => [one.name, one.decodedBodySize]))"
        )
        assert len(sizes) > 5
        assert any("uPlot" in name for name in sizes) == (lacking() is None)
        assert 0 < sum(sizes.values()) < MOST_SCRIPT


@pytest.mark.slow
async def test_a_page_that_is_open_for_long_holds_no_more_than_at_first(serve: ServeProcess) -> None:
    async with browsing(serve.url) as browsed:
        await steady(browsed)
        session = await browsed.page.context.new_cdp_session(browsed.page)
        await session.send("Performance.enable")

        async def held(after: int) -> tuple[float, float]:
            """Bytes of the heap and nodes of the page, once it has so many events more."""
            goal = head(serve.url) + after

            async def there() -> bool:
                seq = await browsed.page.evaluate(
                    "() => Number(document.querySelector('#events tbody tr').cells[0].textContent)"
                )
                return bool(seq >= goal)

            await until(there, f"event {goal} is on the page")
            await session.send("HeapProfiler.collectGarbage")
            metrics = {
                one["name"]: one["value"] for one in (await session.send("Performance.getMetrics"))["metrics"]
            }
            return metrics["JSHeapUsedSize"], metrics["Nodes"]

        async def more(events: int) -> None:
            for _ in range(events // 1000):
                await serve.post(1000)

        await more(5000)
        heap, nodes = await held(0)
        await more(30_000)
        later, nodes_later = await held(0)
        assert later < heap + 1_000_000, (heap, later)
        assert nodes_later < nodes + 500, (nodes, nodes_later)
