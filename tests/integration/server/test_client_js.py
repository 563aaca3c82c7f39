"""`serve` hands out the client: the very files, openly, and again only when they have changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from migctl.server.access.tokens import Token, Tokens
from migctl.server.routes.client import modules
from tests.kit.following import following
from tests.kit.node import CLIENT
from tests.kit.served import serving


async def test_client_and_what_it_imports_are_served_openly_and_revalidated(tmp_path: Path) -> None:
    tokens = Tokens((Token("subscribe", "board", hashlib.sha256(b"secret").hexdigest()),))
    async with serving(tmp_path, tokens=tokens) as served:
        files = [CLIENT.parent / "client.js", *CLIENT.rglob("*.js")]
        assert len(modules()) == len(files)
        for file in files:
            path = f"/{file.relative_to(CLIENT.parent)}"
            answer = await served.http.get(path)
            assert (answer.status_code, answer.content) == (200, file.read_bytes())
            assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
            assert answer.headers["Cache-Control"] == "no-cache"
            again = await served.http.get(path, headers={"If-None-Match": answer.headers["ETag"]})
            assert (again.status_code, again.content) == (304, b"")
        for path in ("/client/none.js", "/client/../app.py", "/client/%2e%2e/app.py"):
            assert (await served.http.get(path)).status_code in (401, 404)


async def test_token_opens_the_socket_of_a_page_and_a_wrong_one_ends_the_loop(tmp_path: Path) -> None:
    tokens = Tokens((Token("subscribe", "board", hashlib.sha256(b"secret").hexdigest()),))
    async with serving(tmp_path, tokens=tokens, heartbeat_s=0.5) as served:
        async with following(served.url, token="secret") as followed:
            assert followed.ready == [{"epoch": served.journal.epoch, "seq": 0}]
            assert followed.attached == ["websocket"]
        async with following(served.url, token="guess") as refused:
            assert "the token is not known" in refused.errors[0]
