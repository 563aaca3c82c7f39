"""Tokens of a running `serve`: listed, replaced by their file, and revoked; sockets that came with one are closed."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from migctl.server.access.tokens import Token, mint_token
from tests.kit.conditions import until
from tests.kit.serve_process import ServeProcess, run, serving_process

WEBSOCKET = ["--mode", "websocket"]


def status_of(serve: ServeProcess, token: str) -> int:
    answer = httpx.get(
        f"{serve.url}/api/status", headers={"Authorization": f"Bearer {token}"}, trust_env=False
    )
    return answer.status_code


def socket(serve: ServeProcess, token: str) -> connect:
    return connect(f"{serve.ws_url}?v=2", additional_headers={"Authorization": f"Bearer {token}"})


async def closed(ws: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as gone:
        while True:
            await ws.recv()
    assert gone.value.rcvd is not None
    return gone.value.rcvd.code


def listed(serve: ServeProcess, more: dict[str, str]) -> dict[str, str]:
    found = run(serve.folder, "token", "list", "--output", "json", more=more)
    assert found.returncode == 0, found.stderr
    tokens = json.loads(found.stdout)["tokens"]
    return {f"{one['purpose']}:{one['name']}": f"{one['revoked']} {one['subscribers']}" for one in tokens}


@pytest.fixture
def tokens() -> dict[str, tuple[str, Token]]:
    return {name: mint_token("subscribe", name) for name in ("ann", "bob")} | {
        "ops": mint_token("admin", "ops")
    }


async def test_a_revoked_token_lets_nobody_in_and_its_sockets_are_closed_also_after_a_restart(
    tmp_path: Path, tokens: dict[str, tuple[str, Token]]
) -> None:
    more = {"MIGCTL_TOKENS": ",".join(token.entry for _, token in tokens.values())}
    folder = tmp_path / "serve"
    with serving_process(folder, *WEBSOCKET, more=more) as serve:
        async with socket(serve, tokens["ann"][0]) as ann, socket(serve, tokens["bob"][0]) as bob:
            await ann.recv()
            await bob.recv()
            assert listed(serve, more) == {
                "subscribe:ann": "False 1", "subscribe:bob": "False 1", "admin:ops": "False 0",
            }  # fmt: skip
            done = run(folder, "token", "revoke", "ann", "--reason", "she left", more=more)
            assert done.returncode == 0, done.stderr
            assert "1 socket was closed" in done.stdout
            assert await closed(ann) == 4401
            await bob.ping()
        assert [status_of(serve, text) for text, _ in tokens.values()] == [401, 200, 200]
        history = run(folder, "ctl", "history", "--output", "json", more=more)
        assert "she left" in history.stdout
        again = run(folder, "token", "revoke", "ann", more=more)
        assert (again.returncode, "no token is called ann" in again.stderr) == (2, True)
    with serving_process(folder, *WEBSOCKET, more=more) as serve:
        assert [status_of(serve, text) for text, _ in tokens.values()] == [401, 200, 200]
        assert listed(serve, more)["subscribe:ann"] == "True 0"


async def test_where_the_last_token_is_revoked_the_door_stays_shut(
    tmp_path: Path, tokens: dict[str, tuple[str, Token]]
) -> None:
    text, token = tokens["ops"]
    more = {"MIGCTL_TOKENS": token.entry}
    with serving_process(tmp_path / "serve", *WEBSOCKET, more=more) as serve:
        assert run(serve.folder, "token", "revoke", "ops", more=more).returncode == 0
        assert status_of(serve, text) == 401
        assert httpx.get(f"{serve.url}/api/status", trust_env=False).status_code == 401


async def test_another_list_is_taken_over_and_one_that_can_not_be_read_is_not(
    tmp_path: Path, tokens: dict[str, tuple[str, Token]]
) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"{tokens['ann'][1].entry}\n")
    more = {"MIGCTL_TOKENS_FILE": str(path)}
    with serving_process(tmp_path / "serve", *WEBSOCKET, more=more) as serve:
        async with socket(serve, tokens["ann"][0]) as ann:
            await ann.recv()
            path.write_text("no list at all\n")
            await until(lambda: "tokens not replaced" in (serve.folder / "serve.log").read_text())
            assert status_of(serve, tokens["ann"][0]) == 200
            path.write_text(f"{tokens['bob'][1].entry}\n")
            assert await closed(ann) == 4401
        assert [status_of(serve, tokens[name][0]) for name in ("ann", "bob")] == [401, 200]


async def test_who_asks_nobody_for_a_token_says_so(tmp_path: Path) -> None:
    with serving_process(tmp_path / "serve", *WEBSOCKET) as serve:
        found = run(serve.folder, "token", "list")
        assert (found.returncode, "MIGCTL_TOKENS is not set" in found.stderr) == (0, True)
        assert run(serve.folder, "token", "revoke", "ann").returncode == 2
    assert run(tmp_path / "serve", "token", "list").returncode == 3
