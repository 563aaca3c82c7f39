"""A project whose tokens nobody here can sign: a user of Supabase Auth signs in for all commands."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jwt
import pytest
from supabase import AsyncClientOptions, acreate_client

from migctl import clock
from migctl.config import Target
from migctl.errors import Systemic, Transient
from migctl.stack.keys import Keys
from migctl.stack.launcher import any_free_port
from migctl.target.auth_user import AuthUser
from tests.integration.keys.test_today import delivers, get
from tests.integration.standin.conftest import Start, starting
from tests.kit.conditions import until
from tests.kit.serve_process import run, serving_process
from tests.kit.targets import environment_of

EMAIL, PASSWORD = "dashboards@example.com", "Pl4nted-P4ssword"


@pytest.fixture
def start(migrated: str, tmp_path: Path) -> Iterator[Start]:
    with starting(migrated, Keys.fresh(clock.now(), "new"), tmp_path) as run_:
        yield run_


async def project(start: Start, *flags: str) -> Target:
    """With one user; its signing key is Auth's alone."""
    site = start(*flags)
    shown = site.keys.shown
    target = Target(
        site.url,
        shown.anon_key,
        shown.service_role_key,
        database_url=site.database,
        user_email=EMAIL,
        user_password=PASSWORD,
    )
    client = await acreate_client(
        site.url, target.need("anon_key"), AsyncClientOptions(auto_refresh_token=False)
    )
    await client.auth.sign_up({"email": EMAIL, "password": PASSWORD})
    return target


@pytest.mark.slow
async def test_all_is_delivered_and_proven_as_a_user(start: Start, tmp_path: Path) -> None:
    target = await project(start)
    environ = environment_of(target)
    with serving_process(tmp_path / "serve", "--mode", "dual", more=environ) as serve:
        await delivers(serve, environ, tmp_path / "out")
        assert get(serve, "/api/status")["authenticated_by"] == "SUPABASE_USER_EMAIL"
        given = get(serve, "/api/transport?user=ann")["access_token"]
        assert jwt.decode(given, options={"verify_signature": False})["email"] == EMAIL
    verified = run(tmp_path, "schema", "verify", "--delivery", "--yes", more=environ)
    assert verified.returncode == 0, verified.stderr + verified.stdout
    assert PASSWORD not in (tmp_path / "serve" / "serve.log").read_text()


async def test_one_session_is_refreshed_before_its_token_ends_and_begun_anew_where_it_is_over(
    start: Start,
) -> None:
    target = await project(start, "--token-seconds", "3", "--refresh-reuse-seconds", "0")
    user = AuthUser(target)
    first = await user.token()
    assert await user.token() == first

    def session(text: str) -> str:
        return str(jwt.decode(text, options={"verify_signature": False})["session_id"])

    async def renewed() -> bool:
        return (await user.token()).text != first.text

    await until(renewed)
    second = await user.token()
    assert session(second.text) == session(first.text)
    other = await acreate_client(
        target.supabase_url, target.need("anon_key"), AsyncClientOptions(auto_refresh_token=False)
    )
    await other.auth.sign_in_with_password({"email": EMAIL, "password": PASSWORD})
    await other.auth.sign_out({"scope": "global"})

    async def begun_anew() -> bool:
        return session((await user.token()).text) != session(first.text)

    await until(begun_anew)


@pytest.mark.parametrize(
    ("part", "value", "names"),
    [
        ("user_password", "wrong-P4ssword", "SUPABASE_USER_PASSWORD"),
        ("user_email", "nobody@example.com", "SUPABASE_USER_EMAIL"),
        ("anon_key", "sb_publishable_of_nobody", "SUPABASE_PUBLISHABLE_KEY"),
    ],
)
async def test_what_is_refused_is_named_and_no_password_is_quoted(
    start: Start, part: str, value: str, names: str
) -> None:
    target = replace(await project(start), **{part: value})  # type: ignore[arg-type]
    with pytest.raises(Systemic) as refused:
        await AuthUser(target).token()
    assert names in refused.value.do
    assert value not in str(refused.value)


async def test_where_nobody_answers_it_is_tried_again_later() -> None:
    target = Target(
        f"http://127.0.0.1:{any_free_port()}", "sb_publishable_x", user_email=EMAIL, user_password=PASSWORD
    )
    user = AuthUser(target)
    with pytest.raises(Transient):
        await user.token()


async def test_an_answer_that_is_none_of_auth_is_said_and_no_trace(tmp_path: Path) -> None:
    for answer in (
        b"<html>",
        b"{}",
        b'{"access_token": 1}',
        b"null",
        b"[]",
        b'{"access_token": "x", "user": null}',
    ):

        async def stranger(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes = answer
        ) -> None:
            await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(stranger, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            target = Target(
                f"http://127.0.0.1:{port}", "sb_publishable_x", user_email=EMAIL, user_password=PASSWORD
            )
            with pytest.raises((Systemic, Transient)) as refused:
                await AuthUser(target).token()
            assert "sign in" in refused.value.what, (answer, os.getpid())
