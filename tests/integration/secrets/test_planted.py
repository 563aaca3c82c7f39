"""A secret is planted in every variable, and broken in the ways in which copying breaks it; then everything that comes out is read.

The target is either dead, or quotes in its refusals what it was sent, as a proxy for debugging does.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from websockets.asyncio.client import connect

from migctl.stack.launcher import any_free_port
from tests.kit.serve_process import ServeProcess, run, serving_process

# None of these may come out: what stands before and what stands after the place where the secret is broken.
HEAD, TAIL = "Pl4ntedBefore", "Pl4ntedAfter"
TOKEN = f"migctl-{HEAD}-token-{TAIL}"
WITHIN_S = 120.0

# How each breaks; what serve makes of it.
BREAKS = {
    "whole": f"{HEAD}-{TAIL}",
    "cr": f"{HEAD}-{TAIL}\r",
    "lf": f"{HEAD}-{TAIL}\n",
    "crlf and blanks": f" {HEAD}-{TAIL} \r\n",
    "byte order mark": f"\ufeff{HEAD}-{TAIL}",
    "hash": f"{HEAD}#{TAIL}",
    "question mark": f"{HEAD}?{TAIL}",
    "percent": f"{HEAD}%41{TAIL}",
}
KEYS = ("SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_JWT_SECRET")
TODAY = ("SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY", "SUPABASE_USER_EMAIL", "SUPABASE_USER_PASSWORD")


def environment(supabase_url: str, broken: str, keys: Sequence[str] = KEYS) -> dict[str, str]:
    """Each variable with a secret of its own, all broken in the same way."""
    dead = any_free_port()
    inside = broken.strip(" \r\n\ufeff")
    around = broken.replace(inside, "{}")
    return {
        "SUPABASE_URL": supabase_url,
        **{name: around.format(f"{name}-{inside}-{name}") for name in keys},
        "DATABASE_URL": around.format(f"postgresql://u:{inside}@127.0.0.1:{dead}/db"),
        "REDIS_URL": around.format(f"redis://:{inside}@127.0.0.1:{dead}/0"),
        "MIGCTL_TOKENS": around.format(f"admin:ops:{hashlib.sha256(TOKEN.encode()).hexdigest()}")
        + f",subscribe:web:{hashlib.sha256(TOKEN.encode()).hexdigest()}",
        "MIGCTL_TOKEN": around.format(TOKEN),
    }


def as_files(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    folder.mkdir()
    found = {}
    for name, value in environ.items():
        if name == "SUPABASE_URL":
            found[name] = value
        else:
            (folder / name).write_bytes(value.encode())
            found[f"{name}_FILE"] = str(folder / name)
    return found


@contextlib.asynccontextmanager
async def quoting() -> AsyncIterator[str]:
    """A target that refuses everything, and quotes the request in many spellings."""

    async def refuse(request: web.Request) -> web.StreamResponse:
        headers = dict(request.headers)
        said = f"refused {request.url} {request.raw_path} {headers} {request.query_string!r} {headers!r}"
        return web.json_response({"message": said, "code": None}, status=503)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def assert_clean(what: str, text: str) -> None:
    for part in (HEAD, TAIL):
        at = text.find(part)
        assert at < 0, f"{what}: ...{text[max(0, at - 200) : at + 100]}..."


def assert_folder_clean(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            assert_clean(str(path), path.read_bytes().decode("utf-8", "replace"))


async def heard(serve: ServeProcess, role: str) -> str:
    """All frames of a v2 socket, until it was told of the fallback."""
    said = ""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        asyncio.timeout(WITHIN_S),
        connect(f"{serve.ws_url}?v=2{role}", additional_headers=headers) as socket,
    ):
        async for frame in socket:
            said += str(frame)
            if json.loads(frame)["type"] == "sys.fallback":
                return said
    raise AssertionError(f"no sys.fallback: {said}")


async def whole_serve(folder: Path, environ: Mapping[str, str]) -> None:
    """Serve with these, until it is known that the target fails; then read everything that it says."""
    options = ("--mode", "dual", "--log-level", "debug")
    with serving_process(folder, *options, more=environ) as serve:
        frames = await asyncio.gather(heard(serve, "&role=standby"), heard(serve, ""))
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(base_url=serve.url, headers=headers, trust_env=False) as http:
            for path in ("/api/status", "/metrics", "/readyz", "/admin/subscribers", "/nothing"):
                answer = await http.get(path)
                assert answer.status_code in (200, 404), answer.text
                assert_clean(path, answer.text + str(answer.headers))
        status = await asyncio.to_thread(
            run, folder, "status", "--url", serve.url, "-o", "json", more=environ
        )
        assert status.returncode in (0, 1), status.stderr
        serve.send(signal.SIGTERM)
        assert await asyncio.to_thread(serve.process.wait, 30) == 0
    assert_clean("frames", "".join(frames))
    assert_clean("status", status.stdout + status.stderr)
    assert (folder / "serve.log").stat().st_size > 0
    assert_folder_clean(folder)


async def commands(folder: Path, environ: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for words in (
        ("schema", "plan"),
        ("schema", "apply", "-o", "json"),
        ("schema", "verify", "--delivery"),
        ("capture", "--transport", "realtime", "--out", "out", "--seconds", "0.2", "--wait", "0.2"),
    ):
        ended = await asyncio.to_thread(run, folder, *words, more=environ)
        assert ended.returncode in (1, 2, 3, 4, 130), (words, ended)
        assert_clean(" ".join(words), ended.stdout + ended.stderr)
    assert_folder_clean(folder)


@pytest.mark.parametrize("how", ["cr", "lf", "hash", "percent"])
async def test_nothing_of_a_secret_comes_out_of_a_serve_whose_target_is_dead(
    how: str, tmp_path: Path
) -> None:
    environ = environment(f"http://127.0.0.1:{any_free_port()}", BREAKS[how])
    await whole_serve(tmp_path / "serve", environ)


@pytest.mark.parametrize("how", ["crlf and blanks", "question mark"])
@pytest.mark.slow
async def test_nothing_of_a_secret_comes_out_though_the_target_quotes_it(how: str, tmp_path: Path) -> None:
    async with quoting() as url:
        await whole_serve(tmp_path / "serve", as_files(environment(url, BREAKS[how]), tmp_path / "files"))
        await commands(tmp_path / "commands", environment(url, BREAKS[how]))


@pytest.mark.parametrize("how", ["byte order mark", "hash", "question mark"])
async def test_nothing_of_a_secret_comes_out_of_commands_whose_target_is_dead(
    how: str, tmp_path: Path
) -> None:
    await commands(tmp_path, environment(f"http://127.0.0.1:{any_free_port()}", BREAKS[how]))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["crlf and blanks", "hash"])
async def test_nothing_of_a_key_of_today_or_of_a_user_comes_out_though_the_target_quotes_it(
    how: str, tmp_path: Path
) -> None:
    async with quoting() as url:
        environ = environment(url, BREAKS[how], TODAY)
        await whole_serve(tmp_path / "serve", as_files(environ, tmp_path / "files"))
        await commands(tmp_path / "commands", environ)


REFUSED = [
    *[(name, f"{HEAD}\x07{TAIL}") for name in (*TODAY, "MIGCTL_ACCESS_TOKEN")],
    ("SUPABASE_SIGNING_KEY", f"{HEAD}-{TAIL}"),
    ("SUPABASE_SIGNING_KEY", json.dumps({"kty": "EC", "crv": "P-256", "kid": "k", "d": f"{HEAD}-{TAIL}"})),
    ("SUPABASE_SIGNING_KEY", json.dumps({"kty": "oct", "k": f"{HEAD}-{TAIL}"})),
    ("MIGCTL_ACCESS_TOKEN", f"{HEAD}.{TAIL}.x"),
    *[(name, f"{HEAD}ä{TAIL}") for name in (*KEYS[:2], "MIGCTL_TOKEN")],
    *[(name, f"{HEAD}\n{TAIL}") for name in ("SUPABASE_JWT_SECRET", "REDIS_URL")],
    *[("DATABASE_URL", f"postgresql://u:{HEAD}{mark}{TAIL}@127.0.0.1/db") for mark in ("@", "/", "%", " ")],
    ("SUPABASE_URL", f"https://u:{HEAD}@{TAIL}.example"),
    ("MIGCTL_TOKENS", f"ingest:name:{HEAD}{TAIL}"),
    ("MIGCTL_TOKENS", f"{HEAD}:name:{TAIL}"),
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_what_can_t_be_used_ends_the_command_with_2_and_the_name_of_the_variable(
    name: str, value: str, tmp_path: Path
) -> None:
    environ = environment("http://127.0.0.1:9", BREAKS["whole"]) | {name: value}
    if name in ("SUPABASE_SIGNING_KEY", "MIGCTL_ACCESS_TOKEN"):  # only who has no other way looks at it
        del environ["SUPABASE_JWT_SECRET"]
    words = (
        ("status", "--url", "http://127.0.0.1:9")
        if name == "MIGCTL_TOKEN"
        else ("serve", "--mode", "dual", "--listen", "127.0.0.1:0")
    )
    ended = run(tmp_path, *words, more=environ)
    assert ended.returncode == 2, ended.stderr
    assert name in ended.stderr
    assert_clean("stderr", ended.stderr + ended.stdout)
