"""`serve` hands out the client: one module, openly, and again only when it has changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from migctl.config import Settings
from migctl.config.settings import LegacySection
from migctl.server.access.tokens import Token, Tokens
from migctl.server.routes.client import module
from tests.kit.entries import event
from tests.kit.following import following
from tests.kit.served import serving


async def test_client_is_served_openly_as_one_module_and_revalidated(tmp_path: Path) -> None:
    tokens = Tokens((Token("subscribe", "board", hashlib.sha256(b"secret").hexdigest()),))
    async with serving(tmp_path, tokens=tokens) as served:
        tags = set()
        for accepts, encoding in (("gzip", "gzip"), ("identity", None)):
            asked = {"Accept-Encoding": accepts}
            answer = await served.http.get("/client.js", headers=asked)
            assert (answer.status_code, answer.content) == (200, module().text)
            assert answer.headers.get("Content-Encoding") == encoding
            assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
            assert answer.headers["Cache-Control"] == "no-cache"
            assert "Accept-Encoding" in answer.headers["Vary"]
            tags.add(answer.headers["ETag"])
            asked["If-None-Match"] = answer.headers["ETag"]
            again = await served.http.get("/client.js", headers=asked)
            assert (again.status_code, again.content) == (304, b"")
        assert len(tags) == 2
        for path in ("/client/flow.js", "/client/../app.py", "/client/%2e%2e/app.py"):
            assert (await served.http.get(path)).status_code in (401, 404)


async def test_page_of_an_origin_that_was_named_may_read_it_packed(tmp_path: Path) -> None:
    origin = "https://board.example"
    settings = Settings(legacy=LegacySection(origins=(origin,)))
    async with serving(tmp_path, settings=settings) as served:
        answer = await served.http.get("/client.js", headers={"Origin": origin, "Accept-Encoding": "gzip"})
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert {word.strip() for word in answer.headers["Vary"].split(",")} == {"Accept-Encoding", "Origin"}


async def test_what_is_handed_out_receives_events(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        file = tmp_path / "client.mjs"
        file.write_bytes((await served.http.get("/client.js")).content)
        async with following(served.url, entry=file.as_uri()) as followed:
            await served.journal.append([event()])
            await followed.count(1)


async def test_token_opens_the_socket_of_a_page_and_a_wrong_one_ends_the_loop(tmp_path: Path) -> None:
    tokens = Tokens((Token("subscribe", "board", hashlib.sha256(b"secret").hexdigest()),))
    async with serving(tmp_path, tokens=tokens, heartbeat_s=0.5) as served:
        async with following(served.url, token="secret") as followed:
            assert followed.ready == [{"epoch": served.journal.epoch, "seq": 0}]
            assert followed.attached == ["websocket"]
        async with following(served.url, token="guess") as refused:
            assert "the token is not known" in refused.errors[0]
