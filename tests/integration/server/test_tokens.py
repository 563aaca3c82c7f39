"""A listener with tokens, over real sockets: what is said to whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from migctl.config import Settings
from migctl.server.access.tokens import PURPOSES, Tokens, mint_token
from tests.kit.served import Served, event, serving

GOOD = {"event_type": "cache_metrics", "data": {"hit": 1}}
MINTED = {purpose: mint_token(purpose, f"{purpose}er") for purpose in PURPOSES}
TOKENS = Tokens(tuple(token for _, token in MINTED.values()))
EVERYWHERE = "0.0.0.0:8080"  # what the rules are made for; the socket of the tests is on loopback


def bearer(purpose: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {MINTED[purpose][0]}"}  # type: ignore[index]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    settings = Settings(listen=EVERYWHERE, legacy={"networks": ["192.0.2.0/24"]})  # type: ignore[arg-type]
    async with serving(tmp_path, settings=settings, tokens=TOKENS) as it:
        yield it


async def closed(ws: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as gone:
        await ws.recv()
    assert gone.value.rcvd is not None
    return gone.value.rcvd.code, gone.value.rcvd.reason


async def test_without_a_token_nothing_is_taken_and_the_answer_says_which_is_needed(served: Served) -> None:
    answer = await served.http.post("/events", json=GOOD)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="migctl"')
    assert "purpose ingest" in answer.json()["errors"][0]["reason"]
    answer = await served.http.post("/events", json=GOOD, headers=bearer("subscribe"))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "purpose")
    assert served.journal.head == 0


async def test_token_in_the_address_is_no_token(served: Served) -> None:
    answer = await served.http.post(f"/events?token={MINTED['ingest'][0]}", json=GOOD)
    assert answer.status_code == 401
    assert "never a token in the address" in answer.json()["errors"][0]["reason"]


async def test_each_purpose_opens_its_route(served: Served) -> None:
    assert (await served.http.post("/events", json=GOOD, headers=bearer("ingest"))).status_code == 201
    page = await served.http.get("/events", headers={**bearer("subscribe"), "Origin": "https://any.example"})
    assert len(page.json()["events"]) == 1
    assert (await served.http.get("/api/status", headers=bearer("admin"))).status_code == 200
    assert (await served.http.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    "options",
    [
        {"additional_headers": bearer("subscribe")},
        {"subprotocols": ["migctl.v2", f"migctl.token.{MINTED['subscribe'][0]}"]},
    ],
)
async def test_socket_brings_its_token_in_a_header_or_as_subprotocol(
    served: Served, options: dict[str, Any]
) -> None:
    async with connect(served.ws_url + "?v=2", **options) as ws:
        assert '"sys.hello"' in str(await ws.recv())
        assert ws.subprotocol in (None, "migctl.v2")  # the token is never said back


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "purpose subscribe is needed"),
        ({"subprotocols": ["migctl.v2", "migctl.token.wrong"]}, "not known"),
        ({"additional_headers": bearer("ingest")}, "'ingester' has one with purpose ingest"),
    ],
)
async def test_socket_without_its_token_is_closed_with_4401_and_the_reason(
    served: Served, options: dict[str, Any], said: str
) -> None:
    async with connect(served.ws_url + "?v=2", **options) as ws:
        code, reason = await closed(ws)
    assert code == 4401
    assert said in reason


async def test_old_socket_from_a_network_that_was_not_named_is_closed_with_4401(served: Served) -> None:
    async with connect(served.ws_url) as ws:
        code, reason = await closed(ws)
    assert code == 4401
    assert "legacy.networks" in reason


@pytest.mark.parametrize("legacy", [{"open": True}, {"networks": ["127.0.0.0/8"]}])
async def test_old_socket_passes_where_the_operator_let_it(tmp_path: Path, legacy: Any) -> None:
    settings = Settings(listen=EVERYWHERE, legacy=legacy)
    async with (
        serving(tmp_path, settings=settings, tokens=TOKENS) as served,
        connect(served.ws_url) as ws,
    ):
        await (await ws.ping())
        await served.journal.append([event(b'{"n":1}')])
        assert '"data":{"n":1}' in str(await ws.recv())


async def test_producer_above_its_rate_is_told_when_to_come_back_and_others_are_not(tmp_path: Path) -> None:
    text, other = mint_token("ingest", "other")
    settings = Settings(ingest={"max_events_per_second": 2})  # type: ignore[arg-type]
    async with serving(tmp_path, settings=settings, tokens=Tokens((*TOKENS.known, other))) as served:
        first = await served.http.post("/events", json=[GOOD] * 20, headers=bearer("ingest"))
        again = await served.http.post("/events", json=GOOD, headers=bearer("ingest"))
        assert (first.status_code, again.status_code) == (201, 429)
        assert 1 <= int(again.headers["Retry-After"]) <= 10
        assert "more than 2 events a second" in again.json()["errors"][0]["reason"]
        others = await served.http.post("/events", json=GOOD, headers={"Authorization": f"Bearer {text}"})
        assert others.status_code == 201
        assert served.journal.head == 21


async def test_a_retry_under_the_next_token_of_the_same_producer_adds_nothing(tmp_path: Path) -> None:
    """As a token is rotated while a request without an answer is tried again."""
    both = [mint_token("ingest", f"billing@{number}") for number in (1, 2)]
    async with serving(tmp_path, tokens=Tokens(tuple(entry for _, entry in both))) as served:
        for text, _ in both:
            headers = {"Authorization": f"Bearer {text}", "Idempotency-Key": "batch 1"}
            assert (await served.http.post("/events", json=GOOD, headers=headers)).status_code == 201
        assert served.journal.head == 1


async def test_same_idempotency_key_of_two_producers_is_two_keys(tmp_path: Path) -> None:
    text, other = mint_token("ingest", "other")
    async with serving(tmp_path, tokens=Tokens((*TOKENS.known, other))) as served:
        for headers in (bearer("ingest"), {"Authorization": f"Bearer {text}"}, bearer("ingest")):
            answer = await served.http.post(
                "/events", json=GOOD, headers={**headers, "Idempotency-Key": "batch 1"}
            )
            assert answer.status_code == 201
        assert served.journal.head == 2
