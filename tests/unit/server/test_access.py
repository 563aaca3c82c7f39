"""Who may pass where tokens are asked for, and where sockets of the old protocol can bring none."""

from __future__ import annotations

import hashlib
from ipaddress import ip_network
from typing import Any

import pytest

from migctl.server.access.rules import Asking, Denied, Granted, Rules
from migctl.server.access.tokens import Purpose, Token, Tokens

NAMES: tuple[Purpose, ...] = ("ingest", "subscribe", "evaluate", "admin")
TOKENS = Tokens(tuple(Token(name, name, hashlib.sha256(name.encode()).hexdigest()) for name in NAMES))


def ask(method: str, path: str, presented: str | None = None, **more: Any) -> Asking:
    return Asking(
        method,
        path,
        **{"host": "events.example", "origin": None, "peer": "203.0.113.7", "presented": presented, **more},
    )


def status(rules: Rules, asking: Asking) -> int:
    decision = rules.decide(asking)
    return 200 if isinstance(decision, Granted) else decision.status


@pytest.mark.parametrize(
    ("method", "path", "opened_by"),
    [
        ("POST", "/events", {"ingest"}),
        ("GET", "/events", {"subscribe"}),
        ("GET", "/ws", {"subscribe"}),
        ("GET", "/api/transport", {"subscribe"}),
        ("GET", "/metrics", {"subscribe", "admin"}),
        ("GET", "/api/status", {"subscribe", "admin"}),
        ("POST", "/ofrep/v1/evaluate/flags", {"evaluate"}),
        ("POST", "/api/flags", {"admin"}),
        ("GET", "/api/flags", {"evaluate", "admin"}),
        ("HEAD", "/api/flags/menu/history", {"evaluate", "admin"}),
        ("GET", "/api/segments", {"evaluate", "admin"}),
        ("PUT", "/api/segments/staff", {"admin"}),
        ("DELETE", "/api/flags/menu", {"admin"}),
        ("GET", "/api/flagstone", {"admin"}),
        ("GET", "/whatever/comes/later", {"admin"}),
    ],
)
def test_route_opens_to_its_purposes_only(method: str, path: str, opened_by: set[str]) -> None:
    rules = Rules(tokens=TOKENS)
    assert {name for name in NAMES if status(rules, ask(method, path, name)) == 200} == opened_by
    assert {status(rules, ask(method, path, name)) for name in NAMES} == {200, 403}
    assert status(rules, ask(method, path)) == status(rules, ask(method, path, "unknown")) == 401


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/openapi.json", "/client.js"])
def test_health_is_open_to_all(path: str) -> None:
    assert status(Rules(tokens=TOKENS), ask("GET", path)) == 200


def test_refusal_says_which_purpose_is_needed_and_which_is_there() -> None:
    rules = Rules(tokens=TOKENS)
    denied = rules.decide(ask("POST", "/events", "subscribe"))
    assert isinstance(denied, Denied)
    assert "purpose ingest is needed" in denied.reason
    assert "'subscribe' has one with purpose subscribe" in denied.reason
    denied = rules.decide(ask("GET", "/metrics"))
    assert isinstance(denied, Denied)
    assert "subscribe or admin" in denied.reason


def test_loopback_with_tokens_asks_for_them_too() -> None:
    asking = ask("POST", "/events", host="127.0.0.1:8080", peer="127.0.0.1")
    assert status(Rules(tokens=TOKENS), asking) == 401


def test_token_proves_more_than_host_and_origin() -> None:
    asking = ask("GET", "/events", "subscribe", host="evil.example", origin="http://evil.example")
    assert status(Rules(tokens=TOKENS), asking) == 200


NET = (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("rules", "asking", "expected"),
    [
        (Rules(tokens=TOKENS), {}, 401),
        (Rules(tokens=TOKENS), {"presented": "subscribe"}, 200),
        (Rules(tokens=TOKENS), {"presented": "the old service's own"}, 401),
        (Rules(tokens=TOKENS, legacy_open=True), {}, 200),
        (Rules(tokens=TOKENS, legacy_open=True), {"presented": "the old service's own"}, 200),
        (Rules(tokens=TOKENS, legacy_networks=NET), {}, 401),
        (Rules(tokens=TOKENS, legacy_networks=NET), {"peer": "10.1.2.3"}, 200),
        (Rules(tokens=TOKENS, legacy_networks=NET), {"peer": "::ffff:10.1.2.3"}, 200),
        (Rules(tokens=TOKENS, legacy_networks=NET), {"peer": ""}, 401),
        (Rules(tokens=TOKENS), {"host": "127.0.0.1:8080", "peer": "127.0.0.1"}, 401),  # a proxy looks like it
        (Rules(tokens=TOKENS, legacy_networks=(ip_network("127.0.0.0/8"),)), {"peer": "127.0.0.1"}, 200),
        (Rules(), {"host": "127.0.0.1:8080"}, 200),
        (Rules(), {"host": "evil.example"}, 403),
        (Rules(legacy_open=True), {"host": "dash.example"}, 200),
    ],
)
def test_socket_of_the_old_protocol_passes_where_the_operator_let_it(
    rules: Rules, asking: dict[str, Any], expected: int
) -> None:
    assert status(rules, ask("GET", "/ws", **{"legacy": True, **asking})) == expected


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("dash.example:8080", "http://dash.example:8080", 403),  # anybody may point a name at us
        ("192.0.2.1:8080", "http://192.0.2.1:8080", 200),
        ("192.0.2.1:8080", "http://192.0.2.1:3000", 403),
        ("dash.example:8080", "https://dash.example", 200),  # listed
        ("192.0.2.1:8080", "null", 403),
    ],
)
def test_open_sockets_still_ask_where_a_page_came_from(host: str, origin: str, expected: int) -> None:
    rules = Rules(tokens=TOKENS, legacy_open=True, origins=("https://dash.example",))
    assert status(rules, ask("GET", "/ws", legacy=True, host=host, origin=origin)) == expected
