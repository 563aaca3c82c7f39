"""`realtime.token_command`: tokens from a program of the operator's, which may fail in every way that a program can."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from aiohttp import web

from migctl import clock
from migctl.config import Settings, Target
from migctl.errors import Transient, Usage
from migctl.server import Assignment, listening
from migctl.target.token_command import TokenCommand, token_command_of
from migctl.transports import TransportName
from tests.kit.assigning import everybody
from tests.kit.conditions import until

SECRET = "s" * 40


def signed(seconds: float, **claims: Any) -> str:
    ends = int((datetime.now(UTC) + timedelta(seconds=seconds)).timestamp())
    return jwt.encode({"role": "authenticated", "exp": ends} | claims, SECRET, algorithm="HS256")


class Program:
    """A script that counts its runs and then does what the test wrote."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "mint token.sh"  # an operator's path may hold a space
        self._runs = folder / "runs"

    def does(self, *lines: str) -> None:
        text = "\n".join(("#!/bin/sh", f"echo run >> {shlex.quote(str(self._runs))}", *lines))
        self.path.write_text(text + "\n")
        self.path.chmod(0o755)

    @property
    def runs(self) -> int:
        return len(self._runs.read_text().splitlines()) if self._runs.exists() else 0

    @property
    def line(self) -> str:
        return f"{shlex.quote(str(self.path))} --role authenticated"

    def command(self, timeout_s: float = 10.0) -> TokenCommand:
        settings = Settings.model_validate(
            {"realtime": {"token_command": self.line, "token_timeout_s": timeout_s}}
        )
        made = token_command_of(settings)
        assert made is not None
        return made


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


async def test_token_is_kept_for_most_of_its_life_and_then_asked_for_anew(program: Program) -> None:
    first, second = signed(4), signed(3600)
    program.does(f"echo {first}")
    command = program.command()
    assert [(await command.token()).text for _ in range(3)] == [first] * 3
    assert program.runs == 1
    program.does(f"echo {second}")

    async def renewed() -> bool:
        return (await command.token()).text == second

    await until(renewed)
    minted = await command.token()
    assert minted.ends_at == datetime.fromtimestamp(
        jwt.decode(second, options={"verify_signature": False})["exp"], UTC
    )
    assert program.runs == 2


@pytest.mark.parametrize(
    ("lines", "how"),
    [
        (("echo TOKEN; exit 3",), "exit code 3"),
        (("echo TOKEN; sleep 60 & sleep 60",), "no answer in 0.5 s"),
        (("echo hello",), "no JWT"),
        (("echo SERVICE",), "role is not authenticated"),
        (("echo ENDLESS",), "says no end"),
        (("echo ENDED",), "has ended"),
        (("head -c 300000 /dev/zero",), "no answer in 0.5 s"),
        (("true",), "no JWT"),
    ],
)
async def test_program_that_fails_is_told_with_the_way_out_and_without_what_it_printed(
    program: Program, lines: tuple[str, ...], how: str
) -> None:
    tokens = {
        "TOKEN": signed(600),
        "SERVICE": signed(600, role="service_role"),
        "ENDLESS": jwt.encode({"role": "authenticated"}, SECRET, algorithm="HS256"),
        "ENDED": signed(-5),
    }
    for name, token in tokens.items():
        lines = tuple(line.replace(name, token) for line in lines)
    program.does(*lines)
    command = program.command(timeout_s=0.5)
    began = clock.mono()
    with pytest.raises(Transient, match=how) as told:
        await command.token()
    assert clock.mono() - began < 30, "the program would sleep for a minute"
    assert "realtime.token_command" in told.value.what
    assert "run it" in told.value.do
    assert not any(token in str(told.value) + told.value.do for token in tokens.values())
    with pytest.raises(Transient, match=how):
        await command.token()
    assert program.runs == 1, "many who ask after a failure are no storm of runs"


async def test_program_that_is_not_there_is_named_as_such(program: Program) -> None:
    with pytest.raises(Transient, match="can't be run: No such file"):
        await program.command().token()


async def test_last_token_serves_while_the_program_fails(program: Program) -> None:
    first = signed(5)
    program.does(f"echo {first}")
    command = program.command()
    assert (await command.token()).text == first
    program.does("exit 1")

    async def tried_again() -> bool:
        return (await command.token()).text == first and program.runs == 2

    await until(tried_again)


async def test_answer_of_transport_has_the_commands_token_or_says_what_to_do(program: Program) -> None:
    """Who is assigned the WebSocket can begin without a token; who is assigned Realtime can't."""
    token = signed(600)
    program.does(f"echo {token}")
    good = await asked(program.command(), "realtime")
    assert (good.status_code, good.json()["access_token"]) == (200, token)
    assert good.json()["expires_at"]
    program.does("exit 1")
    refused = await asked(program.command(), "realtime")
    assert refused.status_code == 503
    assert "exit code 1" in refused.text
    assert "run it" in refused.text
    begins = await asked(program.command(), "websocket")
    assert (begins.status_code, begins.json()["access_token"], begins.json()["expires_at"]) == (
        200,
        None,
        None,
    )


async def asked(command: TokenCommand, transport: TransportName) -> httpx.Response:
    """What `/api/transport` answers where this command is all there is."""
    assignment = Assignment(
        assign=everybody(transport),
        target=Target("https://p.example", anon_key="anon", service_role_key="service"),
        schema="public",
        epoch=lambda: "E",
        authenticated=command,
    )
    app = web.Application()
    app.router.add_get("/api/transport", assignment.get)
    async with (
        listening(app, "127.0.0.1", 0, shutdown_s=0.0) as where,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        return await http.get(f"{where.url}/api/transport", params={"user": "u"})


@pytest.mark.parametrize("line", ["'unended", "  "])
def test_what_is_no_command_line_is_a_usage_error(line: str) -> None:
    with pytest.raises(Usage, match="token_command"):
        token_command_of(Settings.model_validate({"realtime": {"token_command": line}}))
