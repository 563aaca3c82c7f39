"""Which transport a user takes, and the token that goes with it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import jwt
import msgspec
import pytest

from migctl.config import Target
from migctl.config.modes import LiveWay
from migctl.config.settings import FallbackSection
from migctl.errors import Usage
from migctl.flags.assignment import Assigned
from migctl.server.routes.assignment import Assignment, kill_switch
from migctl.subscriber.gateway.serve_client import Assignment as Subscribers
from tests.kit.assigning import everybody

NOW = datetime(2026, 1, 31, 12, 0, 0, 999999, tzinfo=UTC)
SECRET = "s" * 32


def document(target: Target | None, **more: Any) -> dict[str, Any]:
    options = {"assign": everybody("realtime"), "schema": "monitoring", "epoch": lambda: "E", **more}
    return asyncio.run(Assignment(target=target, **options).document("u", NOW))


def test_who_is_handed_an_answer_is_served_with_where_they_go_now() -> None:
    served: list[tuple[str, str, str, int, str]] = []

    def note(user: str, assigned: Assigned, transport: str) -> None:
        served.append((user, assigned.variant, assigned.reason, assigned.n, transport))

    document(None, served=note)
    document(None, served=note, away=lambda: True)
    assert served == [("u", "realtime", "STATIC", 1, "realtime"), ("u", "realtime", "STATIC", 1, "websocket")]


@pytest.mark.parametrize(
    ("mode", "flag", "transport"),
    [
        ("dual", None, None),
        ("dual", "realtime", "realtime"),
        ("dual", "websocket", "websocket"),
        ("websocket", None, None),
        ("realtime", None, None),
        ("realtime", "realtime", "realtime"),
    ],
)
def test_the_kill_switch_decides_where_the_mode_has_both(
    mode: Any, flag: str | None, transport: str | None
) -> None:
    assert kill_switch(mode, flag) == transport


@pytest.mark.parametrize(
    ("mode", "flag"), [("dual", "both"), ("websocket", "realtime"), ("realtime", "websocket")]
)
def test_flag_that_can_not_be_obeyed_is_refused(mode: Any, flag: str) -> None:
    with pytest.raises(Usage, match=f"MIGCTL_FLAG_TRANSPORT={flag}"):
        kill_switch(mode, flag)


@pytest.mark.parametrize("ttl_s", [1.0, 600.5, 3600.0])
def test_token_is_for_reading_and_ends_when_the_answer_says(ttl_s: float) -> None:
    told = document(Target("https://p.example", anon_key="anon", jwt_secret=SECRET), token_ttl_s=ttl_s)
    claims = jwt.decode(
        told["access_token"], SECRET, algorithms=["HS256"], options={"verify_exp": False, "verify_iat": False}
    )
    assert claims["role"] == "authenticated"
    ends = datetime.fromisoformat(told["expires_at"])
    assert claims["exp"] == int(ends.timestamp()) == int(NOW.timestamp() + ttl_s)
    assert (told["supabase_url"], told["anon_key"], told["channel"], told["epoch"]) == (
        "https://p.example",
        "anon",
        "monitoring.monitoring_events",
        "E",
    )


def test_without_the_secret_the_token_is_null_and_never_the_service_key() -> None:
    told = document(Target("https://p.example", anon_key="anon", service_role_key="service"))
    assert told["access_token"] is told["expires_at"] is None
    assert "service" not in told.values()


def test_without_supabase_its_fields_are_null() -> None:
    told = document(None, assign=everybody("websocket"))
    assert {key for key, value in told.items() if value is None} == {
        "supabase_url",
        "anon_key",
        "channel",
        "live",
        "access_token",
        "expires_at",
    }


def test_settings_of_fallback_are_told() -> None:
    told = document(None, fallback=FallbackSection(hold_s=3.5, to_realtime=False, max_spread_s=40))
    assert told["fallback"] == {"hold_seconds": 3.5, "to_realtime": False, "max_spread_s": 40.0}


@pytest.mark.parametrize("live", ["broadcast", "postgres_changes"])
def test_what_brings_live_events_is_told_and_read(live: LiveWay) -> None:
    told = document(Target("https://p.example", anon_key="anon", jwt_secret=SECRET), live=live)
    assert told["live"] == live
    read = msgspec.convert(told, Subscribers)
    assert read.project is not None
    assert (read.project.live, read.project.schema) == (live, "monitoring")


def test_nobody_is_sent_to_realtime_while_its_breaker_is_open_and_the_assignment_lasts() -> None:
    by_flag = Assigned("realtime", "TARGETING_MATCH", 7)
    for away, transport in ((False, "realtime"), (True, "websocket")):
        told = document(None, assign=lambda _: by_flag, away=lambda away=away: away)
        assert (told["transport"], told["assigned"]) == (transport, "realtime")
        assert (told["version"], told["reason"]) == (7, "TARGETING_MATCH")
        assert msgspec.convert(told, Subscribers).lasting == "realtime"


def test_who_is_on_the_websocket_stays_there_whatever_the_breaker() -> None:
    told = document(None, assign=everybody("websocket"), away=lambda: True)
    assert told["transport"] == told["assigned"] == "websocket"
