"""Who watches, and whom the stream is for."""

from __future__ import annotations

import pytest

from migctl.status.watching import watches


@pytest.mark.parametrize(
    ("route", "client", "watching"),
    [
        ("/metrics", None, True), ("/healthz", None, True), ("/api/rollout", None, True), ("/admin/clients", None, True),
        ("/dashboard/{name}", None, True), ("/events", "dashboard", True), ("/events", "witness", True),
        ("/events", None, False), ("/events", "billing", False), ("/ws", None, False), ("/api/transport", None, False),
        ("/client.js", None, False), ("none", None, False),
    ],
)  # fmt: skip
def test_a_probe_a_page_and_the_witness_watch_and_producers_and_subscribers_do_not(
    route: str, client: str | None, watching: bool
) -> None:
    assert watches(route, client) is watching
