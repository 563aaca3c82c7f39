"""An old service that would be ourselves: each socket would open the next."""

from __future__ import annotations

import pytest

from migctl.transports.websocket.upstream import points_at


@pytest.mark.parametrize(
    ("url", "host", "port", "same"),
    [
        ("ws://127.0.0.1:8080/ws", "127.0.0.1", 8080, True),
        ("ws://localhost:8080/ws", "127.0.0.1", 8080, True),
        ("ws://localhost:8080/ws", "0.0.0.0", 8080, True),
        ("ws://[::1]:8080/ws", "::", 8080, True),
        ("ws://127.0.0.1:8081/ws", "127.0.0.1", 8080, False),
        ("ws://old.example/ws", "127.0.0.1", 80, False),
        ("wss://old.example/ws", "old.example", 443, True),
        ("ws://old.example/ws", "old.example", 443, False),
    ],
)
def test_upstream_that_is_our_own_listener_is_known_by_host_and_port(
    url: str, host: str, port: int, same: bool
) -> None:
    assert points_at(url, host, port) is same
