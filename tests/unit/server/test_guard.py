"""Who may speak to a loopback listener without tokens."""

from __future__ import annotations

import pytest

from migctl.errors import Refused
from migctl.server.access.guard import check_listen
from migctl.server.access.rules import forbidden
from migctl.server.access.tokens import parse_tokens


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "127.9.9.9:1"]
)
def test_loopback_host_without_origin_passes(host: str) -> None:
    assert forbidden(host, None) is None


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example:8080",
        "localhost.evil.example",
        "evil@127.0.0.1",
        "127.0.0.1.evil.example",
        "127.0.0.1:x",
        "10.0.0.1",
    ],
)
def test_host_that_is_no_loopback_name_is_refused(host: str | None) -> None:
    assert forbidden(host, None) is not None


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"])
def test_own_origin_passes_under_each_loopback_name(origin: str) -> None:
    assert forbidden("127.0.0.1:8080", origin) is None


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://localhost:3000",
        "null",
        "file://",
        "http://127.0.0.1",
        "http://localhost:8080.evil.example",
        "",
    ],
)
def test_foreign_origin_is_refused(origin: str) -> None:
    assert forbidden("127.0.0.1:8080", origin) is not None


def test_named_origin_passes() -> None:
    assert forbidden("127.0.0.1:8080", "http://localhost:3000", {"http://localhost:3000"}) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", ""])
def test_listening_beyond_loopback_without_tokens_is_refused_with_4(host: str) -> None:
    with pytest.raises(Refused) as refused:
        check_listen(host, 8080)
    assert refused.value.exit_code == 4


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_listening_on_loopback_is_fine(host: str) -> None:
    check_listen(host, 8080)


def test_listening_beyond_loopback_with_tokens_is_fine() -> None:
    check_listen("0.0.0.0", 8080, parse_tokens(f"admin:me:{'0' * 64}"))
