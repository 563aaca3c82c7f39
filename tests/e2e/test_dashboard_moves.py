"""The rollout paused, resumed, promoted and aborted from the page, by who signed in: the record has it, and the page shows it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
import pytest

from migctl.config import Target
from migctl.server.access.tokens import mint_token
from tests.kit.browsing import Browsed, browsing, until
from tests.kit.serve_process import serving_process
from tests.kit.targets import environment_of
from tests.kit.walking import Ledger

ADMIN, ADMIN_TOKEN = mint_token("admin", "ada")
READER, READER_TOKEN = mint_token("subscribe", "bob")


class Page:
    def __init__(self, browsed: Browsed) -> None:
        self.browsed, self.page = browsed, browsed.page

    async def sign_in(self, token: str) -> None:
        if not await self.page.locator("#sign").is_visible():
            await self.page.locator("#sign-in").click()
        await self.page.locator("#token").fill(token)
        await self.page.locator("#sign-form button[type=submit]").click()
        await self.page.locator("#sign").wait_for(state="hidden")

    async def ask(self, action: str, *, percent: str | None = None, reason: str = "") -> None:
        await self.page.locator(f'button[data-action="{action}"]').click()
        if percent is not None:
            await self.page.locator("#ask-percent").fill(percent)
        await self.page.locator("#ask-reason").fill(reason)
        await self.page.locator("#ask-yes").click()

    async def agree(self) -> None:
        await self.shows("#ask-yes", "Yes,")
        await self.page.locator("#ask-yes").click()
        await self.page.locator("#ask").wait_for(state="hidden", timeout=30_000)

    async def move(self, action: str, reason: str, *, percent: str | None = None) -> None:
        await self.ask(action, percent=percent, reason=reason)
        await self.agree()

    async def shows(self, selector: str, text: str) -> None:
        async def there() -> bool:
            return text in await self.page.locator(selector).inner_text()

        await until(there, f"{selector} shows {text!r}")

    async def can(self, *actions: str) -> None:
        """Of the moves, these can be pressed, and no other."""

        async def so() -> bool:
            # In one moment: a button that changes between two questions would be waited for.
            buttons = "[...document.querySelectorAll('#ro-actions button:not(:disabled)')]"
            found = set(await self.page.evaluate(f"{buttons}.map((one) => one.dataset.action)"))
            return found == set(actions)

        await until(so, f"only {actions} can be pressed")


async def with_page(standin: Target, folder: Path, work: Callable[[Page], Awaitable[None]]) -> None:
    more = {
        **environment_of(standin),
        "MIGCTL_TOKENS": f"{ADMIN_TOKEN.entry},{READER_TOKEN.entry}",
        "MIGCTL_TOKEN": ADMIN,
    }
    with serving_process(folder, "--mode", "dual", more=more) as serve:
        async with browsing(serve.url) as browsed:
            await work(Page(browsed))


@pytest.mark.slow
async def test_who_signed_in_pauses_resumes_and_aborts_and_each_shows_on_the_page_and_in_the_record(
    standin: Target, migrated: str, tmp_path: Path
) -> None:
    ledger = Ledger(migrated)

    async def work(page: Page) -> None:
        await page.sign_in(ADMIN)
        await page.can("set", "abort")
        # A raise has a reason, and is shown before it is done.
        await page.ask("set", percent="25")
        await page.shows("#ask-shown", "0 % to 25 % on Realtime")
        await page.page.locator("#ask-yes").click()
        await page.shows("#ask-error", "Give a reason")
        assert ledger.opened() == []
        await page.page.locator("#ask-reason").fill("a quarter")
        await page.agree()
        await page.shows('[data-testid="rollout-percent"]', "25")
        assert ledger.opened() == [25]
        await page.shows("#ro-state", "paused by a person")
        await page.can("set", "resume", "promote", "abort")

        await page.move("resume", "walk on")
        await page.can("set", "pause", "promote", "abort")
        assert ledger.state()["phase"] == "moving"
        await page.move("pause", "lunch")
        await page.shows("#ro-state", "lunch")
        assert (ledger.state()["phase"], ledger.state()["paused"]) == ("paused", "person")

        # What its gates do not let through is not promoted, and the page says what is wanting and the way out.
        await page.ask("promote", reason="impatience")
        await page.shows("#ask-error", "more events")
        await page.shows("#ask-error", "migctl rollout promote --force")
        await page.page.locator("#ask-no").click()
        assert ledger.state()["stage"] == "2b-25"

        # To think better of it does nothing.
        await page.ask("abort", reason="a slip")
        await page.shows("#ask-yes", "Yes, abort")
        await page.page.locator("#ask-no").click()
        assert ledger.state()["phase"] == "paused"
        await page.move("abort", "too slow in the shop")
        await page.shows('[data-testid="rollout-percent"]', "0")
        await page.shows("#ro-state", "too slow in the shop")
        await page.can("set", "resume", "abort")
        await page.ask("resume", reason="mended")
        await page.shows("#ask-shown", "it ends the brake of ada: at most 0 %, too slow in the shop")
        await page.agree()
        await page.can("set", "pause", "promote", "abort")

    await with_page(standin, tmp_path / "serve", work)
    with psycopg.connect(migrated) as connection:
        audited = set(connection.execute("select actor, reason from monitoring_audit").fetchall())
    moves = ("a quarter", "walk on", "lunch", "too slow in the shop", "mended")
    assert {("ada", why) for why in moves} <= audited
    assert not {("ada", why) for why in ("impatience", "a slip")} & audited


async def test_who_may_only_read_sees_all_and_moves_nothing(
    standin: Target, migrated: str, tmp_path: Path
) -> None:
    async def work(page: Page) -> None:
        await page.sign_in(READER)
        await page.shows('[data-testid="state-websocket"]', "connected")
        await page.ask("set", percent="50", reason="let me")
        await page.shows("#ask-error", "purpose admin")
        await page.page.locator("#ask-no").click()
        await page.ask("abort", reason="let me")
        await page.shows("#ask-error", "purpose admin")

    await with_page(standin, tmp_path / "serve", work)
    ledger = Ledger(migrated)
    assert (ledger.opened(), ledger.brakes()) == ([], [])
