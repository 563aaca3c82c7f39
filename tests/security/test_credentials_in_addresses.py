"""What lets one in stands in addresses and headers too: planted there, and looked for in everything that comes out."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import signal
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from migctl.redaction import Redactor
from migctl.stack.launcher import any_free_port
from tests.integration.secrets.test_planted import HEAD, TAIL, assert_clean, assert_folder_clean
from tests.kit.serve_process import ServeProcess, run, serving_process

SECRET = f"{HEAD}-{TAIL}"
TOKEN = "migctl-token-of-a-test"
DIGEST = hashlib.sha256(TOKEN.encode()).hexdigest()
TOKENS = {"MIGCTL_TOKENS": f"subscribe:web:{DIGEST},admin:ops:{DIGEST},ingest:p:{DIGEST}"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}

ADDRESSES = {
    "password": "ws://user:{s}@{at}/ws",
    "query": "ws://{at}/ws?token={s}&x=1",
    "query, other name": "ws://{at}/ws?x=1&api_key={s}",
    "two ats": "ws://user:{h}@{t}@{at}/ws",
    "encoded": "ws://user:{h}%40{t}@{at}/ws",
}
# Written so that no address can be read out of it.
BROKEN = {
    "user alone": "ws://{s}@{at}/ws",
    "slash": "ws://user:{h}/{t}@{at}/ws",
    "question mark": "ws://user:{h}?{t}@{at}/ws",
    "hash": "ws://user:{h}#{t}@{at}/ws",
    "no port": "ws://user:{s}@127.0.0.1:99999/ws",
    "blank": "ws://user:{h} {t}@{at}/ws",
    "another scheme": "ftp://user:{s}@{at}/ws",
}
UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
HEADERS = [
    f"Authorization: {SECRET}",
    f"Authorization:\tBearer\t{SECRET}",
    f"Authorization: Bearer  {SECRET}",
    f"Authorization: Bearer {SECRET} {SECRET}",
    f"Authorization: Bearer {SECRET}\x01",
    f"Authorization: Bearer {SECRET}\x1b[2J",
    f"Authorization : Bearer {SECRET}",
    f"Authorization Bearer {SECRET}",
    f"Authorization: Bearer {SECRET}\r\nAuthorization: Bearer {SECRET}",
    f"Authorization: Basic {base64.b64encode(f'user:{SECRET}'.encode()).decode()}, {SECRET}",
    f"Authorization: Digest username={SECRET}",
    f"Authorization: Bearer {SECRET * 2000}",
    f"Authorization: Bearer {SECRET}\xff\xfe",
    f"\x00Authorization: Bearer {SECRET}",
    f"Proxy-Authorization: Basic {SECRET}",
    f"Cookie: session={SECRET}",
    f"Sec-WebSocket-Protocol: migctl.token.{SECRET}",
    f"Sec-WebSocket-Protocol: migctl.token.{SECRET} {SECRET}, migctl.v2",
]


def filled(address: str) -> str:
    return address.format(s=SECRET, h=HEAD, t=TAIL, at=f"127.0.0.1:{any_free_port()}")


async def said(serve: ServeProcess, first: str, header: str) -> str:
    """What a request with this header, as it is, is answered."""
    where = urlsplit(serve.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    more = UPGRADE if "/ws" in first else "Connection: close\r\n"
    writer.write(f"{first} HTTP/1.1\r\nHost: {where.netloc}\r\n{more}{header}\r\n\r\n".encode("latin-1"))
    writer.write_eof()
    try:
        async with asyncio.timeout(20):
            return (await reader.read()).decode("latin-1")
    finally:
        writer.close()


async def everything_said(serve: ServeProcess) -> str:
    found = ""
    async with httpx.AsyncClient(base_url=serve.url, headers=BEARER, trust_env=False) as http:
        for path in ("/api/status", "/metrics", "/readyz", "/admin/subscribers", "/api/transport?user=u"):
            answer = await http.get(path)
            found += answer.text + str(answer.headers)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("how", ADDRESSES)
async def test_credentials_of_the_old_service_come_out_nowhere(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        f'legacy:\n  open: true\n  upstream: "{filled(ADDRESSES[how])}"\n'
        f'alerts:\n  webhook: "https://hooks.example/services/{SECRET}/x"\n'
    )
    options = ("--mode", "websocket", "--log-level", "debug", "--config", str(settings))
    with serving_process(folder, *options, more=TOKENS) as serve:
        for _ in range(2):
            with contextlib.suppress(WebSocketException, OSError):
                async with connect(serve.ws_url, proxy=None) as socket:
                    await socket.recv()
        text = await everything_said(serve)
        for words in (("status",), ("status", "-o", "json"), ("config", "show", "--config", str(settings))):
            ended = await asyncio.to_thread(run, folder, *words)
            assert_clean(" ".join(words), ended.stdout + ended.stderr)
        serve.send(signal.SIGTERM)
        assert await asyncio.to_thread(serve.process.wait, 60) == 0
    assert_clean("answers", text)
    assert (folder / "serve.log").stat().st_size
    assert_folder_clean(folder)


@pytest.mark.parametrize("how", [*ADDRESSES, *BROKEN])
@pytest.mark.parametrize("where", ["upstream", "source", "url", "webhook"])
def test_an_address_that_can_not_be_used_is_refused_without_what_lets_one_in(
    tmp_path: Path, how: str, where: str
) -> None:
    address = filled({**ADDRESSES, **BROKEN}[how]).replace(
        "ws:", "xx:" if how in ADDRESSES and where != "url" else "ws:"
    )
    (tmp_path / "migctl.yaml").write_text(
        f'legacy:\n  upstream: "{address}"\n'
        if where == "upstream"
        else f'alerts:\n  webhook: "{address}"\n'
        if where == "webhook"
        else ""
    )
    serve = ["serve", "--listen", "127.0.0.1:0", "--mode", "websocket", "--until-done"]
    words = {"source": [*serve, "--source", address], "url": ["status", "--url", address]}.get(where, serve)
    ended = run(tmp_path, *words)
    assert ended.returncode in (2, 3), ended.stdout + ended.stderr
    assert_clean("said", ended.stdout + ended.stderr)
    assert_folder_clean_but(tmp_path, "migctl.yaml")


def assert_folder_clean_but(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert_folder_clean(folder)


@pytest.mark.slow
async def test_the_password_of_a_proxy_comes_out_nowhere(tmp_path: Path) -> None:
    dead = any_free_port()
    proxy = f"http://user:{SECRET}@127.0.0.1:{dead}"
    more = {
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy", "http_proxy"), proxy),
        "SUPABASE_URL": "http://project.example:1",
        "SUPABASE_ANON_KEY": "a" * 20, "SUPABASE_SERVICE_ROLE_KEY": "b" * 20, "SUPABASE_JWT_SECRET": "c" * 40,
        "DATABASE_URL": f"postgresql://u:{SECRET}@127.0.0.1:{dead}/d",
        **TOKENS,
    }  # fmt: skip
    with serving_process(tmp_path / "s", "--mode", "dual", "--log-level", "debug", more=more) as serve:
        async with asyncio.timeout(60):
            while "realtime" not in (text := await everything_said(serve)) or '"open"' not in text:
                await asyncio.sleep(0.1)  # until a breaker is open: then all that fails has been tried
        serve.send(signal.SIGTERM)
        assert await asyncio.to_thread(serve.process.wait, 60) == 0
    assert_clean("answers", text)
    assert_folder_clean(tmp_path / "s")
    for words in (("schema", "plan"), ("flags", "list"), ("status", "--url", "http://serve.example:1")):
        ended = await asyncio.to_thread(run, tmp_path, *words, more=more)
        assert_clean(" ".join(words), ended.stdout + ended.stderr)


@pytest.mark.slow
async def test_nothing_of_a_malformed_header_comes_out(tmp_path: Path) -> None:
    with serving_process(tmp_path / "s", "--mode", "websocket", "--log-level", "debug", more=TOKENS) as serve:
        for header in HEADERS:
            for first in ("GET /api/status", "POST /events", "GET /ws", "GET /ws?v=2", "GET /metrics"):
                answer = await said(serve, first, header)
                assert " 200 " not in answer[:20], (first, header)
                if (
                    " 400 " not in answer[:20]
                ):  # aiohttp quotes the line that is none to who has sent it, and to nobody else
                    assert_clean(f"{first} {header!r}", answer)
        text = await everything_said(serve)
        log = serve.stop()
    assert_clean("answers", text)
    assert "no HTTP request" in log
    assert "Traceback" not in log
    assert_folder_clean(tmp_path / "s")


@pytest.mark.parametrize(
    "text",
    [
        "{'Authorization': 'Basic Pl4nted'}",
        "authorization: Pl4nted",
        "Headers({'authorization': '[secure]', 'proxy-authorization': 'Digest Pl4nted'})",
        "ws://Pl4ntedLongerThanAWord@host/",
        "http://h/?auth_token=Pl4nted",
        "http://h/?a=b&X-Amz-Signature=Pl4nted&c=d",
        "http://h/#access_token=Pl4nted",
    ],
)
def test_what_has_the_shape_of_a_credential_is_hidden_although_nobody_made_it_known(text: str) -> None:
    assert "Pl4nted" not in Redactor().redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "send `Authorization: Bearer TOKEN`, never a token in the address",
        "postgresql://postgres@127.0.0.1/db",
        "http://h/?after=12&epoch=abc",
        "basic authentication is not asked for",
    ],
)
def test_words_about_credentials_are_left(text: str) -> None:
    assert Redactor().redact(text) == text
