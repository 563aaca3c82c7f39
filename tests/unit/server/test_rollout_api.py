"""The rollout over HTTP, as far as it goes without a record: who may ask, what is understood, and how each refusal is answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from migctl import server
from migctl.config import Settings
from migctl.config.settings import FlagsSection, SupabaseSection
from migctl.errors import Usage, Wanting
from migctl.flags.disk import OwnBrakes
from migctl.runtime.rolling import Asked, Rolling
from migctl.runtime.rollout_wish import Proposed
from migctl.server.access.guard import guard
from migctl.server.access.rules import Rules
from migctl.server.access.tokens import Tokens, mint_token
from migctl.server.routes.rollout_api import Order, Shown, rollout_routes
from migctl.stack.launcher import any_free_port

ADMIN, ADMIN_TOKEN = mint_token("admin", "ada")
READER, READER_TOKEN = mint_token("subscribe", "bob")
TOKENS = Tokens((ADMIN_TOKEN, READER_TOKEN))
SET = {"action": "set", "percent": 25, "reason": "a test"}


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A target that does not answer, and flags that nobody has written yet."""
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "a.b.c")
    monkeypatch.delenv("REDIS_URL", raising=False)
    return Settings(
        state_dir=str(tmp_path),
        supabase=SupabaseSection(url=f"http://127.0.0.1:{any_free_port()}"),
        flags=FlagsSection(target="t"),
    )


async def _over(settings: Settings, tokens: Tokens) -> AsyncIterator[httpx.AsyncClient]:
    app = web.Application(middlewares=[guard(Rules(tokens=tokens), Counter())])
    app.add_routes(rollout_routes(Rolling(settings)))
    async with (
        server.listening(app, "127.0.0.1", 0, shutdown_s=0.2) as listener,
        httpx.AsyncClient(base_url=listener.url, timeout=30.0, trust_env=False) as http,
    ):
        yield http


@pytest.fixture
async def guarded(away: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async for http in _over(away, TOKENS):
        yield http


@pytest.fixture
async def open_(away: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Without tokens, on loopback."""
    async for http in _over(away, Tokens()):
        yield http


def _bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def _held(settings: Settings) -> list[float]:
    return [one.max_percent for one in OwnBrakes(settings.state).read("t")]


@pytest.mark.parametrize("action", ["set", "pause", "resume", "promote", "abort"])
async def test_nobody_moves_it_without_a_token_of_purpose_admin_and_a_refused_move_moves_nothing(
    guarded: httpx.AsyncClient, away: Settings, action: str
) -> None:
    body = {"action": action, "percent": 0, "reason": "a test"}
    for headers, code in (({}, 401), (_bearer("unknown"), 401), (_bearer(READER), 403)):
        assert (await guarded.post("/api/rollout", json=body, headers=headers)).status_code == code
    assert _held(away) == []


async def test_a_reader_sees_drills_and_may_not_move(guarded: httpx.AsyncClient) -> None:
    assert (await guarded.get("/api/drills")).status_code == 401
    answer = await guarded.get("/api/drills", headers=_bearer(READER))
    assert (answer.status_code, answer.json()) == (200, {"drills": []})
    assert (await guarded.post("/api/drills", headers=_bearer(ADMIN))).status_code == 405


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Host": "evil.example"},
    ],
)
async def test_a_page_of_another_site_aborts_nothing_on_a_loopback_without_tokens(
    open_: httpx.AsyncClient, away: Settings, headers: dict[str, str]
) -> None:
    # As a form or a script of another site can send it: no preflight is asked for a plain text.
    more = {"Content-Type": "text/plain", **headers}
    answer = await open_.post("/api/rollout", content=b'{"action":"abort"}', headers=more)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "origin")
    assert _held(away) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"abort", 400),
        (b'{"action":"abort"', 400),
        (b'{"action":"\xff"}', 400),
        (b"[]", 422),
        (b"null", 422),
        (b"{}", 422),
        (b'{"action":"complete"}', 422),
        (b'{"action":"promote","force":true,"reason":"r"}', 422),
        (b'{"action":"abort","dryrun":true}', 422),
        (b'{"action":"abort","dry_run":"true"}', 422),
        (b'{"action":"set","percent":101,"reason":"r"}', 422),
        (b'{"action":"set","percent":-1,"reason":"r"}', 422),
        (b'{"action":"set","percent":NaN,"reason":"r"}', 400),
        (b'{"action":"set","percent":"25","reason":"r"}', 422),
        (b'{"action":"set","reason":"r"}', 422),
        (b'{"action":"abort","reason":"two\\nlines"}', 422),
        (b'{"action":"abort","reason":"' + b"x" * 1001 + b'"}', 422),
        (b'{"action":"abort","lift":"b1"}', 422),
        (b'{"action":"abort","shown":{"percent":25}}', 422),
        (b'{"action":"pause"}', 422),
        (b'{"action":"resume","reason":" "}', 422),
        (b'{"action":"promote"}', 422),
    ],
)
async def test_a_body_that_is_no_move_is_refused_and_nothing_is_moved(
    open_: httpx.AsyncClient, away: Settings, body: bytes, status: int
) -> None:
    answer = await open_.post("/api/rollout", content=body)
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert found.get("errors") or found["do"], "a refusal without a way out"
    assert _held(away) == []


async def test_up_needs_the_record_and_down_needs_nobody(open_: httpx.AsyncClient, away: Settings) -> None:
    for action in ("pause", "resume", "promote"):
        answer = await open_.post("/api/rollout", json={"action": action, "reason": "a test"})
        assert (answer.status_code, answer.json()["exit_code"]) == (503, 3), answer.text
    raised = await open_.post("/api/rollout", json=SET)
    assert (raised.status_code, raised.json()["exit_code"]) == (503, 3), raised.text
    assert _held(away) == []
    done = await open_.post("/api/rollout", json={"action": "abort"})
    assert done.status_code == 200, done.text
    found = done.json()
    assert (found["direction"], found["changed"], found["brake"]["max_percent"]) == ("down", True, 0)
    # It is kept, and nobody confirmed it: both are answered.
    assert _held(away) == [0] and "nobody has it but this folder" in found["wrong"]["what"]


async def test_a_dry_run_of_an_abort_says_so_and_does_nothing(
    open_: httpx.AsyncClient, away: Settings
) -> None:
    answer = await open_.post("/api/rollout", json={"action": "abort", "dry_run": True})
    assert (answer.json()["dry_run"], answer.json()["changed"]) == (True, False)
    assert _held(away) == []


async def test_where_it_stands_is_answered_with_the_record_away(open_: httpx.AsyncClient) -> None:
    answer = await open_.get("/api/rollout")
    assert answer.status_code == 200, answer.text
    assert answer.json()["away"]


async def test_who_moved_it_is_the_token_and_without_one_the_page(
    guarded: httpx.AsyncClient, away: Settings
) -> None:
    await guarded.post("/api/rollout", json={"action": "abort", "reason": "slow"}, headers=_bearer(ADMIN))
    (brake,) = OwnBrakes(away.state).read("t")
    assert (brake.by, brake.reason) == ("ada", "slow")


def _raise(**more: Any) -> Proposed:
    values: dict[str, Any] = {
        "before": 25.0,
        "after": 50.0,
        "stage_before": "2b-25",
        "stage": "2b-50",
        **more,
    }
    return Proposed("promote", "here", "up", **values)


def test_a_raise_that_somebody_else_made_meanwhile_is_not_made_twice() -> None:
    shown = Shown(50.0, "2b-50")
    order = Order("promote", reason="a test", lift=["b1"], shown=shown)
    assert Asked(order)(_raise()) == ["b1"]
    with pytest.raises(Wanting, match="2b-50 with 50 % then, 2b-75 with 75 % now"):
        Asked(order)(_raise(after=75.0, stage="2b-75"))


def test_a_raise_has_a_reason_unless_nothing_is_done_by_it() -> None:
    with pytest.raises(Usage, match="there is no reason"):
        Asked(Order("set", percent=50))(_raise())
    assert Asked(Order("set", percent=50, dry_run=True))(_raise()) == []
    assert Asked(Order("set", percent=0))(Proposed("set 0", "here", "down")) == []
