"""The rollout moved over HTTP, as the page does, on a real record: who and why are in its history."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from aiohttp import web

from migctl import server
from migctl.config import Target, load
from migctl.runtime.rolling import Rolling
from migctl.server.access.guard import guard
from migctl.server.access.rules import Rules
from migctl.server.access.tokens import Tokens, mint_token
from migctl.server.routes.rollout_api import rollout_routes
from tests.kit.targets import environment_of
from tests.kit.walking import Ledger

ADMIN, MINTED = mint_token("admin", "ada")


@pytest.fixture
async def http(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    for name, value in {**environment_of(target), "MIGCTL_STATE_DIR": str(tmp_path / "state")}.items():
        monkeypatch.setenv(name, value)
    app = web.Application(middlewares=[guard(Rules(tokens=Tokens((MINTED,))), Counter())])
    app.add_routes(rollout_routes(Rolling(load())))
    async with (
        server.listening(app, "127.0.0.1", 0, shutdown_s=0.2) as listener,
        httpx.AsyncClient(
            base_url=listener.url, timeout=60.0, trust_env=False, headers={"Authorization": f"Bearer {ADMIN}"}
        ) as http,
    ):
        yield http


async def moved(http: httpx.AsyncClient, action: str, *, code: int = 200, **more: Any) -> Any:
    answer = await http.post("/api/rollout", json={"action": action, **more})
    assert answer.status_code == code, answer.text
    return answer.json()


async def test_each_move_of_the_page_is_done_once_and_has_its_name_and_reason_in_the_history(
    http: httpx.AsyncClient, migrated: str
) -> None:
    ledger = Ledger(migrated)
    assert (await moved(http, "pause", code=409, reason="early"))["exit_code"] == 1  # nothing has begun
    shown = await moved(http, "set", percent=25, dry_run=True)
    assert (shown["percent"]["after"], shown["stage"]["after"]) == (25, "2b-25")
    assert ledger.opened() == []
    assert (await moved(http, "set", code=422, percent=25))["exit_code"] == 2
    after = {"percent": 25, "stage": "2b-25"}
    await moved(http, "set", percent=25, reason="a quarter", shown=after)
    assert ledger.opened() == [25] and ledger.state()["stage"] == "2b-25"

    resumed = {"percent": 25, "stage": "2b-25"}
    await moved(http, "resume", reason="walk on", shown=resumed)
    await moved(http, "pause", reason="lunch")
    assert (ledger.state()["phase"], ledger.state()["paused"]) == ("paused", "person")
    # What has no evidence is not promoted, whoever asks; there is no force here.
    for dry_run in (True, False):
        refused = await moved(http, "promote", code=409, reason="now", dry_run=dry_run)
        assert "2b-25" in refused["what"] and refused["do"]
    await moved(http, "resume", reason="after lunch", shown=resumed)
    assert ledger.state()["phase"] != "paused"

    # Somebody else was quicker: what was shown would be another move.
    stale = {"percent": 50, "stage": "2b-25"}
    refused = await moved(http, "set", code=409, percent=50, reason="half", shown=stale)
    assert "no longer what was shown" in refused["what"] and ledger.opened()[-1] == 25

    await moved(http, "abort", reason="too slow")
    assert ledger.state()["phase"] == "aborted"
    found = await moved(http, "resume", dry_run=True)
    (brake,) = found["brakes"]
    unlifted = await moved(http, "resume", code=409, reason="mended", lift=[])
    assert unlifted["do"]
    again = {"percent": found["percent"]["after"], "stage": found["stage"]["after"]}
    await moved(http, "resume", reason="mended", lift=[brake["id"]], shown=again)
    assert ledger.state()["phase"] != "aborted"

    with psycopg.connect(migrated) as connection:
        audited = set(connection.execute("select action, actor, reason from monitoring_audit").fetchall())
    assert {
        ("rollout.set", "ada", "a quarter"),
        ("rollout.pause", "ada", "lunch"),
        ("rollout.resume", "ada", "after lunch"),
        ("rollout.resume", "ada", "mended"),
    } <= audited
    assert ("ada", "too slow") in {(actor, reason) for _, actor, reason in audited}
    assert not {"early", "now", "half"} & {reason for _, _, reason in audited}
