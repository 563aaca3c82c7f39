"""A project of today: `sb_` keys, no shared secret, a signing key of the operator's. All commands as with older keys."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from migctl import clock
from migctl.config import Target
from migctl.stack.keys import Keys
from tests.kit.capturing import capturing
from tests.kit.conditions import until
from tests.kit.relaying import Tables
from tests.kit.serve_process import ServeProcess, run, serving_process
from tests.kit.targets import environment_of, standing, target_of


@pytest.fixture
def today(migrated: str, tmp_path: Path) -> Iterator[Target]:
    keys = Keys.fresh(clock.now(), "new")
    with standing(tmp_path / "standin", migrated, keys) as process:
        yield target_of(process, migrated, keys)


def get(serve: ServeProcess, path: str) -> Any:
    answer = httpx.get(f"{serve.url}{path}", trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def delivers(serve: ServeProcess, environ: Mapping[str, str], folder: Path) -> None:
    """Events go into the table, and to a reader of Realtime by broadcast; the canary listens as such a reader does."""
    async with capturing(folder, transport="realtime", env={**os.environ, **environ}) as capture:
        await capture.said("ready")
        await serve.post(20)
        await until(lambda: len(capture.lines) >= 20)
        capture.process.send_signal(signal.SIGTERM)
        code, _, err = await capture.ended()
    assert code == 0, err
    assert capture.summary["role"] == "authenticated"

    def proven() -> bool:
        realtime = get(serve, "/api/status")["transports"]["realtime"]
        return bool(realtime["canary"]["seen"] >= 3)

    await until(proven)
    status = get(serve, "/api/status")
    assert status["transports"]["realtime"]["canary"]["role"] == "authenticated"
    assert {of["state"] for of in status["breakers"].values() if of} == {"closed"}


@pytest.mark.slow
async def test_all_is_delivered_and_proven_with_a_signing_key(
    today: Target, migrated: str, tmp_path: Path
) -> None:
    environ = environment_of(today)
    assert set(environ) == {
        "SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY", "SUPABASE_SIGNING_KEY", "DATABASE_URL",
    }  # fmt: skip
    with serving_process(tmp_path / "serve", "--mode", "dual", more=environ) as serve:
        await delivers(serve, environ, tmp_path / "out")
        assert get(serve, "/api/status")["authenticated_by"] == "SUPABASE_SIGNING_KEY"
        given = get(serve, "/api/transport?user=ann")
        assert given["anon_key"] == today.anon_key
        assert (
            jwt.get_unverified_header(given["access_token"])["kid"]
            == json.loads(today.signing_key or "")["kid"]
        )
    assert len(await Tables(migrated).ids()) == 20
    verified = run(tmp_path, "schema", "verify", "--delivery", "--yes", more=environ)
    assert verified.returncode == 0, verified.stderr + verified.stdout


async def test_without_anybody_who_is_authenticated_each_command_names_all_the_ways(
    today: Target, tmp_path: Path
) -> None:
    environ = environment_of(replace(today, signing_key=None))
    for words in (
        ["serve", "--mode", "dual", "--listen", "127.0.0.1:0"],
        ["capture", "--transport", "realtime", "--out", "out"],
        ["schema", "verify", "--delivery", "--yes"],
        ["validate", "watch"],
    ):
        ended = run(tmp_path, *words, more=environ)
        assert ended.returncode == 2, (words, ended.stderr)
        for way in (
            "SUPABASE_JWT_SECRET",
            "SUPABASE_SIGNING_KEY",
            "SUPABASE_USER_EMAIL",
            "token_command",
            "MIGCTL_ACCESS_TOKEN",
        ):
            assert way in ended.stderr, (words, ended.stderr)


def test_with_older_keys_serve_starts_without_a_way_and_warns_of_it(standin: Target, tmp_path: Path) -> None:
    environ = {**environment_of(replace(standin, jwt_secret=None)), "MIGCTL_WITNESS": "off"}
    with serving_process(tmp_path / "serve", "--mode", "dual", more=environ) as serve:
        assert get(serve, "/api/status")["authenticated_by"] is None
        assert get(serve, "/api/transport?user=ann")["access_token"] is None
        log = serve.stop()
    assert "clients have to bring their own tokens" in log and "SUPABASE_SIGNING_KEY" in log


@pytest.mark.slow
async def test_where_clients_bring_their_own_serve_needs_no_way_and_its_canary_has_the_secret_key(
    today: Target, tmp_path: Path
) -> None:
    environ = {**environment_of(replace(today, signing_key=None)), "MIGCTL_WITNESS": "off"}
    (tmp_path / "serve").mkdir()
    (tmp_path / "serve" / "migctl.yaml").write_text("realtime:\n  clients_bring_tokens: true\n")
    with serving_process(tmp_path / "serve", "--mode", "dual", more=environ) as serve:
        await until(lambda: get(serve, "/api/status")["transports"]["realtime"]["canary"]["seen"] >= 2)
        status = get(serve, "/api/status")
        assert status["transports"]["realtime"]["canary"]["role"] == "service_role"
        assert status["authenticated_by"] is None
        assert get(serve, "/api/transport?user=ann")["access_token"] is None
