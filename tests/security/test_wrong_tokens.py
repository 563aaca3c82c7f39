"""Wrong tokens, one after the other: the next from there wait, and nobody behind the same address who has a right one does."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.kit.serve_process import ServeProcess, run, serving_process

TOKEN = "migctl-token-of-a-test"
DIGEST = hashlib.sha256(TOKEN.encode()).hexdigest()
TOKENS = {
    "MIGCTL_TOKENS": ",".join(
        f"{purpose}:me:{DIGEST}" for purpose in ("subscribe", "admin", "ingest", "evaluate")
    ),
    "MIGCTL_MODE": "websocket",
}
GOOD = {"Authorization": f"Bearer {TOKEN}"}
BAD = [
    "Bearer nonsense", "Bearer", "Basic bWU6c2VjcmV0", TOKEN, "", "Bearer,", f"Bearer {TOKEN} {TOKEN}", f"Bearer {TOKEN[:-1]}",
    "x" * 5000, b"Bearer \xff\xfe",
]  # fmt: skip
EVENT = {"event_type": "a", "data": {}}
ROUTES = [
    ("POST", "/events"), ("GET", "/events?epoch=x"), ("GET", "/api/status"), ("GET", "/metrics"), ("GET", "/api/flags"),
    ("PUT", "/api/flags/x"), ("POST", "/ofrep/v1/evaluate/flags"), ("POST", "/ofrep/v1/evaluate/flags/x"),
    ("GET", "/admin/subscribers"), ("POST", "/api/rollout"), ("GET", "/api/tail"), ("GET", "/nothing"),
]  # fmt: skip

pytestmark = pytest.mark.slow


def serving(folder: Path, text: str = "http: {max_wrong_tokens: 10, wrong_tokens_within_s: 600}\n"):  # type: ignore[no-untyped-def]
    folder.mkdir()
    (folder / "migctl.yaml").write_text(text)
    return serving_process(folder, more=TOKENS)


def asking(serve: ServeProcess, address: str = "127.0.0.1") -> httpx.Client:
    return httpx.Client(base_url=serve.url, transport=httpx.HTTPTransport(local_address=address), timeout=60)


async def opened(serve: ServeProcess, query: str, headers: Mapping[str, str], *offered: str) -> int:
    """101 where a socket stays open, the status of the answer, or the code that it is closed with."""
    try:
        async with connect(
            serve.ws_url + query,
            additional_headers=dict(headers),
            subprotocols=offered or None,
            proxy=None,  # type: ignore[arg-type]
        ) as socket:
            await asyncio.to_thread(
                lambda: httpx.post(f"{serve.url}/events", json=EVENT, headers=GOOD).raise_for_status()
            )
            await socket.recv()
            return 101
    except InvalidStatus as error:
        if error.response.status_code == 429:
            assert int(error.response.headers["Retry-After"]) > 0
        return error.response.status_code
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else -1


async def test_an_address_that_brings_wrong_tokens_is_limited_and_a_right_one_passes(tmp_path: Path) -> None:
    with serving(tmp_path / "s") as serve, asking(serve) as http, asking(serve, "127.0.0.2") as other:
        assert [http.get("/api/status", headers={"Authorization": bad}).status_code for bad in BAD] == [
            401
        ] * 10
        for method, path in ROUTES:
            answer = http.request(method, path, headers={"Authorization": "Bearer more"}, content=b"{}")
            assert answer.status_code == 429, path
            assert 0 < int(answer.headers["Retry-After"]) <= 600
            assert answer.json()["errors"][0]["code"] == "rate"
        # Behind the same address: who has a right token, who brings none, and who needs none.
        for _ in range(30):
            assert http.post("/events", json=EVENT, headers=GOOD).status_code == 201
        assert http.get("/admin/subscribers", headers=GOOD).status_code == 200
        assert http.get("/api/status").status_code == 401
        assert http.get("/healthz", headers={"Authorization": "Bearer more"}).status_code == 200
        assert other.get("/api/status", headers={"Authorization": "Bearer more"}).status_code == 401
        # Sockets of both protocols.
        wrong = {"Authorization": "Bearer more"}
        assert [await opened(serve, query, wrong) for query in ("", "?v=2")] == [429, 429]
        assert await opened(serve, "?v=2", {}, "migctl.v2", "migctl.token.more") == 429
        assert [await opened(serve, query, GOOD) for query in ("", "?v=2")] == [101, 101]
        assert await opened(serve, "?v=2", {}, "migctl.v2", f"migctl.token.{TOKEN}") == 101
        assert [await opened(serve, query, {}) for query in ("", "?v=2")] == [4401, 4401]
        # Counted.
        status = http.get("/api/status", headers=GOOD).json()["http"]
        assert status["refused"] == {"token": 10 + 1 + 1 + 2, "rate": len(ROUTES) + 3}
        assert status["limited_addresses"] == 1
        metrics = http.get("/metrics", headers=GOOD).text.splitlines()
        assert "migctl_http_limited_addresses 1.0" in metrics
        assert f'migctl_http_refused_total{{reason="rate"}} {len(ROUTES) + 3}.0' in metrics


async def test_wrong_tokens_of_sockets_count_too(tmp_path: Path) -> None:
    with serving(tmp_path / "s", "http: {max_wrong_tokens: 4}\n") as serve:
        wrong = {"Authorization": "Bearer more"}
        found = [await opened(serve, query, wrong) for query in ("", "?v=2", "", "?v=2")]
        assert found == [4401] * 4
        with asking(serve) as http:
            assert http.post("/events", json=EVENT, headers=wrong).status_code == 429
        assert await opened(serve, "", {}, "migctl.token.more") == 429


def test_behind_a_trusted_proxy_it_is_the_client_that_is_limited(tmp_path: Path) -> None:
    text = "trusted_proxies: [127.0.0.1/32]\nhttp: {max_wrong_tokens: 3}\n"
    with (
        serving(tmp_path / "s", text) as serve,
        asking(serve) as proxy,
        asking(serve, "127.0.0.2") as stranger,
    ):

        def codes(http: httpx.Client, *forwarded: str) -> list[int]:
            return [
                http.get(
                    "/api/status", headers={"Authorization": "Bearer more", "X-Forwarded-For": each}
                ).status_code
                for each in forwarded
            ]

        assert codes(proxy, *["203.0.113.7"] * 5) == [401, 401, 401, 429, 429]
        assert codes(proxy, "203.0.113.8", "10.1.1.1, 203.0.113.7") == [401, 429], (
            "what the client claims is nothing"
        )
        # A /64 is one address.
        assert codes(proxy, *[f"2001:db8::{number}" for number in range(5)]) == [401, 401, 401, 429, 429]
        assert codes(proxy, "2001:db8:0:1::1") == [401]
        # Nobody else's header counts, so that nobody has another address for each attempt.
        assert codes(stranger, *[f"203.0.113.{number}" for number in range(20, 25)]) == [
            401,
            401,
            401,
            429,
            429,
        ]


def test_wrong_tokens_by_the_thousand_fill_no_log(tmp_path: Path) -> None:
    with serving(tmp_path / "s") as serve:
        with asking(serve) as http:
            found = Counter(
                http.get(
                    "/api/status", headers={"Authorization": f"Bearer {number}"} if number % 2 else {}
                ).status_code
                for number in range(2000)
            )
        assert found == {401: 1010, 429: 990}
        log = serve.stop()
    assert 1 <= log.count("request refused") <= 40


def test_how_many_there_may_be_is_set_while_it_runs(tmp_path: Path) -> None:
    with serving(tmp_path / "s") as serve, asking(serve) as http:

        def codes(count: int) -> list[int]:
            wrong = {"Authorization": "Bearer more"}
            return [http.get("/api/status", headers=wrong).status_code for _ in range(count)]

        assert codes(2) == [401, 401]
        done = run(
            serve.folder, "ctl", "set", "http.max_wrong_tokens", "3", "--reason", "they hammer", more=TOKENS
        )
        assert done.returncode == 0, done.stderr
        assert codes(3) == [401, 429, 429]
