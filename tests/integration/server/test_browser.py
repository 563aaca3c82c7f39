"""What a browser's page on another origin gets, and what the control socket alone gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from migctl.config import Settings
from migctl.server.access.tokens import Tokens, mint_token
from tests.kit.served import serving

PAGE = "https://dash.example"
SETTINGS = Settings(listen="0.0.0.0:8080", legacy={"origins": [PAGE]})  # type: ignore[arg-type]


async def test_named_page_may_ask_with_a_token_and_read_the_answer(tmp_path: Path) -> None:
    text, token = mint_token("subscribe", "dash")
    async with serving(tmp_path, settings=SETTINGS, tokens=Tokens((token,))) as served:
        asked = await served.http.options(
            "/api/transport",
            headers={
                "Origin": PAGE,
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "authorization",
            },
        )
        assert (asked.status_code, asked.headers["Access-Control-Allow-Origin"]) == (204, PAGE)
        assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
        headers = {"Origin": PAGE, "Authorization": f"Bearer {text}"}
        told = await served.http.get("/api/transport?user=ada", headers=headers)
        assert (told.status_code, told.headers["Access-Control-Allow-Origin"]) == (200, PAGE)
        assert told.json()["transport"] == "websocket"
        refused = await served.http.get("/api/transport?user=ada", headers={"Origin": PAGE})
        assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, PAGE)


async def test_other_page_gets_no_word_of_cors(tmp_path: Path) -> None:
    _, token = mint_token("subscribe", "dash")
    async with serving(tmp_path, settings=SETTINGS, tokens=Tokens((token,))) as served:
        asked = await served.http.options(
            "/events", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
        )
        assert asked.status_code == 401
        assert not [name for name in asked.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("query", ["", "?user=", "?user=" + "x" * 256])
async def test_transport_of_nobody_is_400(tmp_path: Path, query: str) -> None:
    async with serving(tmp_path) as served:
        answer = await served.http.get(f"/api/transport{query}")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "user")


async def test_who_is_attached_is_for_admins_and_never_for_a_page_on_loopback(tmp_path: Path) -> None:
    async with serving(tmp_path / "open") as served:
        assert (await served.http.get("/admin/subscribers")).status_code == 403
    text, token = mint_token("admin", "me")
    settings = Settings(legacy={"networks": ["127.0.0.0/8"]})  # type: ignore[arg-type]
    async with (
        serving(tmp_path / "tokens", settings=settings, tokens=Tokens((token,))) as served,
        connect(served.ws_url) as ws,
    ):
        await (await ws.ping())
        answer = await served.http.get("/admin/subscribers", headers={"Authorization": f"Bearer {text}"})
        [one] = answer.json()["subscribers"]
        assert (one["form"], one["peer"], one["closing"]) == ("legacy", "127.0.0.1", None)
