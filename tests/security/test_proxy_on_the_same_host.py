"""A proxy on the same host makes everybody look like this machine. Real sockets of the old protocol, against a real `serve`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.kit.serve_process import ServeProcess, serving_process

TOKEN = "migctl-token-of-a-test"
DIGEST = hashlib.sha256(TOKEN.encode()).hexdigest()
TOKENS = {
    "MIGCTL_TOKENS": f"subscribe:web:{DIGEST},admin:ops:{DIGEST},ingest:p:{DIGEST}",
    "MIGCTL_MODE": "websocket",
}
BEARER = {"Authorization": f"Bearer {TOKEN}"}

pytestmark = pytest.mark.slow


async def closed_with(serve: ServeProcess, headers: Mapping[str, str]) -> int | None:
    """The code that a socket of the old protocol is closed with; None where it stays open and gets events."""
    try:
        async with connect(serve.ws_url, additional_headers=dict(headers), proxy=None) as socket:
            async with httpx.AsyncClient(trust_env=False) as http:
                event = [{"event_type": "a", "data": {}}]
                assert (await http.post(f"{serve.url}/events", json=event, headers=BEARER)).status_code == 201
            await socket.recv()
            return None
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else -1


def settings(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "migctl.yaml").write_text(text)
    return folder


SPOOFED: list[dict[str, str]] = [
    {},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-For": "10.1.1.1"},
    {"X-Forwarded-For": "10.1.1.1, 10.1.1.2"},
    {"X-Real-IP": "10.1.1.1"},
    {"Forwarded": "for=10.1.1.1"},
    {"Client-IP": "10.1.1.1", "True-Client-IP": "10.1.1.1"},
    {"Origin": "http://127.0.0.1"},
]


@pytest.mark.parametrize("text", ["", "legacy:\n  networks: [10.0.0.0/8]\n"])
async def test_with_tokens_loopback_is_no_exemption_whatever_is_claimed(tmp_path: Path, text: str) -> None:
    with serving_process(settings(tmp_path / "s", text), more=TOKENS) as serve:
        for headers in SPOOFED:
            assert await closed_with(serve, headers) == 4401, headers
        assert await closed_with(serve, BEARER) is None


async def test_open_and_networks_say_who_needs_no_token(tmp_path: Path) -> None:
    for number, text in enumerate(("legacy:\n  open: true\n", "legacy:\n  networks: [127.0.0.0/8]\n")):
        with serving_process(settings(tmp_path / f"{number}", text), more=TOKENS) as serve:
            assert await closed_with(serve, {}) is None


TRUSTING = "trusted_proxies: [127.0.0.1/32, 192.0.2.0/24]\nlegacy:\n  networks: [10.0.0.0/8]\n"


@pytest.mark.parametrize(
    ("forwarded", "code"),
    [
        ("10.1.1.1", None),
        ("10.1.1.1, 192.0.2.9", None),  # through two proxies of ours
        ("203.0.113.7", 4401),
        ("10.1.1.1, 203.0.113.7", 4401),  # claimed by the client, who is outside
        ("10.1.1.1, 203.0.113.7, 192.0.2.9", 4401),
        ("10.1.1.1, nonsense", 4401),
        ("", 4401),
        (None, 4401),
    ],
)
async def test_a_trusted_proxy_says_whose_address_counts_and_a_client_can_not(
    tmp_path: Path, forwarded: str | None, code: int | None
) -> None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    with serving_process(settings(tmp_path / "s", TRUSTING), more=TOKENS) as serve:
        assert await closed_with(serve, headers) == code
        if code is None:
            async with (
                connect(f"{serve.ws_url}?v=2", additional_headers={**BEARER, **headers}, proxy=None),
                httpx.AsyncClient(trust_env=False, headers=BEARER) as http,
            ):
                found = (await http.get(f"{serve.url}/admin/subscribers")).json()["subscribers"]
            assert [one["peer"] for one in found] == ["10.1.1.1"]
        log = serve.stop()
    assert ("203.0.113.7" in log) == (forwarded is not None and "203.0.113.7" in forwarded)
