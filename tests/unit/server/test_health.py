"""What counts as wrong in a status."""

from __future__ import annotations

from typing import Any

import pytest

from migctl.server.health import problems

WELL: dict[str, Any] = {
    "draining": False,
    "relay": {"state": "running", "backlog": 3, "oldest_waits_s": 0.1},
    "connections": {"table": {"state": "running"}, "broadcast": {"state": "connected"}},
    "breakers": {"table": {"state": "closed"}, "broadcast": {"state": "closed"}},
    "transports": {"websocket": {"state": "connected"}, "realtime": {"state": "connected"}},
    "source": {"state": "connected", "waiting_for": None},
}


def test_nothing_is_wrong_where_all_parts_say_they_are_well() -> None:
    assert problems(WELL) == []
    assert problems({**WELL, "relay": None, "source": None}) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"draining": True}, "serve: draining"),
        ({"journal": {"full": "no room"}}, "journal: takes no events: no room"),
        (
            {"connections": {"table": {"state": "paused", "reason": "no table"}}},
            "table: paused: no table",
        ),
        (
            {
                "connections": {"table": {"state": "retrying", "reason": "refused"}},
                "breakers": {"table": {"state": "open", "reason": "refused"}},
            },
            "table: retrying, breaker open: refused",
        ),
        (
            {"breakers": {"broadcast": {"state": "half_open", "reason": "no canary for 1.5 s"}}},
            "broadcast: connected, breaker half-open: no canary for 1.5 s",
        ),
        (
            {"relay": {**WELL["relay"], "backlog": 4000, "oldest_waits_s": 61.0}},
            "relay: 4,000 events wait for the table, the oldest for 61 s",
        ),
        (
            {"connections": {"broadcast": {"state": "degraded", "reason": "slow"}}},
            "broadcast: degraded: slow",
        ),
        ({"connections": {"broadcast": {}}}, "broadcast: says nothing of its state"),
        ({"source": {"state": "connected", "waiting_for": "full"}}, "source: waits for the journal: full"),
        (
            {"source": {"state": "waiting", "waiting_for": None, "reason": "refused"}},
            "source: waiting: refused",
        ),
    ],
)
def test_each_part_that_is_not_well_is_named_with_its_reason(change: dict[str, Any], said: str) -> None:
    assert problems({**WELL, **change}) == [said]


def test_source_that_was_read_to_its_end_is_no_problem() -> None:
    assert problems({**WELL, "source": {"state": "closed"}, "source_done": True}) == []
