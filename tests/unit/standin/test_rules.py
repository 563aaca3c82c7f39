"""What the stand-in lets a client do, each cell of the tables of `rules`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from migctl.stack.standin.auth import BadToken, Flaw
from migctl.stack.standin.limits import PLANS, Limits
from migctl.stack.standin.realtime import config, rules
from migctl.stack.standin.realtime.frames import Message
from migctl.stack.standin.realtime.hub import Hub
from migctl.stack.standin.realtime.rules import Denied, Policies

FREE = Limits(plan=PLANS["free"])


def message(topic: str, event: str, join_ref: str | None = None) -> Message:
    return Message(topic, event, b"{}", "7", join_ref)


@pytest.mark.parametrize(
    ("topic", "event", "join_ref", "joined", "fate"),
    [
        ("phoenix", "heartbeat", None, False, "answer"),
        ("phoenix", "phx_join", None, False, "nothing"),
        ("realtime:a", "phx_join", "7", False, "join"),
        ("realtime:a", "phx_join", "7", True, "join"),
        ("other:a", "phx_join", "7", False, "unmatched"),
        ("other:a", "phx_join", "3", True, "handle"),
        ("realtime:a", "phx_leave", None, False, "leave"),
        ("realtime:a", "phx_leave", "3", True, "leave"),
        ("realtime:a", "broadcast", "3", False, "unmatched"),
        ("realtime:a", "broadcast", None, True, "handle"),
        ("realtime:a", "broadcast", "3", True, "handle"),
        ("realtime:a", "broadcast", "2", True, "nothing"),
    ],
)
def test_a_message_goes_by_its_topic_its_event_and_the_join_it_names(
    topic: str, event: str, join_ref: str | None, joined: bool, fate: str
) -> None:
    assert rules.fate(message(topic, event, join_ref), joined, "3" if joined else None) == fate


@pytest.mark.parametrize(
    ("flaw", "sockets", "refused"),
    [
        (None, 199, None),
        (None, 200, (429, "Too many connected users")),
        ("expired", 0, (401, "Token has expired")),
        ("claims", 0, (401, "Fields `role` and `exp` are required in JWT")),
        ("malformed", 0, (401, "The token provided is not a valid JWT")),
        ("not_yet", 0, (401, "The token provided is not a valid JWT")),
        ("signature", 200, (401, "Failed to validate JWT signature")),
        (
            "signer",
            0,
            (401, "Failed to generate JWT signer, check your JWT secret or JWKS configuration"),
        ),
    ],
)
def test_an_upgrade_is_refused_for_its_key_and_then_for_the_users_of_the_plan(
    flaw: Flaw | None, sockets: int, refused: tuple[int, str] | None
) -> None:
    found = rules.refused_upgrade(BadToken(flaw) if flaw is not None else None, sockets, FREE)
    assert (None if found is None else (found.status, found.error)) == refused


@pytest.mark.parametrize(
    ("name", "flooded", "channels", "refused", "closes", "counted"),
    [
        ("a", False, 0, None, False, True),
        ("a", False, 99, None, False, True),
        ("a", False, 100, "ChannelRateLimitReached: Too many channels", False, True),
        ("a", True, 100, "ClientJoinRateLimitReached: Too many joins per second", True, False),
        ("", True, 100, "TopicNameRequired: You must provide a topic name", False, False),
    ],
)
def test_a_join_is_refused_for_its_name_the_rate_and_the_channels_of_its_socket_in_this_order(
    name: str, flooded: bool, channels: int, refused: str | None, closes: bool, counted: bool
) -> None:
    found = rules.refused_join(name, flooded=flooded, channels=channels, limits=Limits())
    assert (None if found is None else str(found)) == refused
    assert (found is not None and found.closes) == closes
    assert rules.counts_as_join(name, flooded=flooded) == counted


def test_joins_over_the_rate_of_the_plan_trip_at_a_tick_and_heal_at_one() -> None:
    """100 a second on the average of up to 60 s; the first second of a cold counter counts as empty, so it trips at 200."""
    at = 0.0
    joins = Hub(FREE, lambda: at).joins
    joins.add(199, 0.5)
    assert not joins.triggered(1.0)
    joins.add(101, 1.5)
    assert joins.triggered(2.0)
    assert joins.triggered(2.9)
    assert not joins.triggered(3.0)


@pytest.mark.parametrize(
    ("asked", "token"),
    [({}, "socket"), ({"access_token": "sb_publishable_1"}, "socket"), ({"access_token": "jwt"}, "jwt")],
)
def test_the_key_of_the_socket_stands_for_a_token_that_is_none(asked: dict[str, Any], token: str) -> None:
    assert rules.token_of(config.parse(asked), "socket") == token


@pytest.mark.parametrize(
    ("error", "answered", "ends_with"),
    [
        (
            BadToken("expired", expired_s=3),
            "InvalidJWTToken: Token has expired 3 seconds ago",
            "Token has expired 3 seconds ago",
        ),
        (
            BadToken("claims"),
            "InvalidJWTToken: Fields `role` and `exp` are required in JWT",
            "Fields `role` and `exp` are required in JWT",
        ),
        (
            BadToken("signature"),
            "JwtSignatureError: Failed to validate JWT signature",
            "Failed to validate JWT signature",
        ),
        (
            BadToken("signer", kid="k"),
            'JwtSignerError: Failed to generate JWT signer for key ID (kid) "k", check your JWT secret or JWKS configuration',
            'Failed to generate JWT signer for key ID (kid) "k", check your JWT secret or JWKS configuration',
        ),
        (
            BadToken("malformed"),
            "MalformedJWT: The token provided is not a valid JWT",
            "The token provided is not a valid JWT",
        ),
    ],
)
def test_a_token_is_refused_in_one_way_at_the_join_and_in_another_later(
    error: BadToken, answered: str, ends_with: str
) -> None:
    denied = rules.refused_token(error)
    assert (str(denied), denied.message, denied.closes) == (answered, ends_with, False)


def test_a_join_that_has_no_database_behind_it_or_no_partition_in_it_is_refused() -> None:
    assert str(rules.no_partition()).startswith("MissingPartition: ")
    assert str(rules.no_database()).startswith("UnableToConnectToProject: ")


@pytest.mark.parametrize(
    ("presence", "broadcast_read", "presence_read", "refused"),
    [
        (False, True, None, False),
        (False, False, None, True),
        (True, True, False, False),
        (True, False, True, False),
        (True, False, False, True),
    ],
)
def test_a_private_topic_needs_one_of_the_two_that_are_asked_for(
    presence: bool, broadcast_read: bool, presence_read: bool | None, refused: bool
) -> None:
    assert len(rules.to_read(presence)) == (2 if presence else 1)
    found = rules.refused_reading("a", Policies(broadcast_read=broadcast_read, presence_read=presence_read))
    assert (found is not None) == refused
    if found is not None:
        assert str(found) == "Unauthorized: You do not have permissions to read from this Channel topic: a"


@pytest.mark.parametrize(("exp", "wait_s"), [(99.0, 0), (100.0, 0), (160.0, 60), (400.0, 300), (9000.0, 300)])
def test_a_token_is_checked_when_it_ends_and_every_five_minutes(exp: float, wait_s: float) -> None:
    assert rules.confirm_after_s(exp, 100.0) == wait_s


@pytest.mark.parametrize(
    ("payload", "token"),
    [
        ({"access_token": "new"}, "new"),
        ({"access_token": "old"}, None),
        ({"access_token": "sb_secret_1"}, None),
        ({"access_token": None}, None),
        ({}, None),
        ("new", None),
    ],
)
def test_a_renewal_that_says_nothing_new_is_none(payload: object, token: str | None) -> None:
    assert rules.renewal(payload, "old") == token


@pytest.mark.parametrize(
    ("before", "now", "ended"),
    [
        (None, None, False),
        (Policies(True, None, None, None), Policies(True, None, None, None), False),
        (Policies(True, None, True, None), Policies(False, None, True, None), True),
        (Policies(True, None, True, None), Policies(True, None, False, None), True),
        (Policies(True, None, False, None), Policies(True, None, True, None), False),
        (Policies(True, True, None, None), Policies(True, False, None, None), False),
    ],
)
def test_a_channel_ends_with_a_token_that_may_read_less(
    before: Policies | None, now: Policies | None, ended: bool
) -> None:
    denied = rules.refused_renewal("a", before, now)
    assert isinstance(denied, Denied) == ended
    if denied is not None:
        assert denied.message == "You no longer have permission to read from this Channel topic: a"


@pytest.mark.parametrize(
    ("may_write", "size", "ack", "becomes"),
    [
        (False, 1, False, "nothing"),
        (False, 1, True, "nothing"),
        (False, 256_001, True, "nothing"),
        (True, 256_001, False, "nothing"),
        (True, 256_001, True, "refuse"),
        (True, 256_000, False, "deliver"),
        (True, 256_000, True, "deliver"),
    ],
)
def test_a_broadcast_goes_by_permission_and_size_and_only_an_acknowledged_one_hears_of_its_size(
    may_write: bool, size: int, ack: bool, becomes: str
) -> None:
    assert rules.sent(may_write, size, ack=ack, limits=FREE) == becomes


@pytest.mark.parametrize(
    ("payload", "call"),
    [
        ({"event": "track", "payload": {}}, "track"),
        ({"event": "TRACK", "payload": {"a": 1}}, "track"),
        ({"event": "track", "payload": [1]}, "not-a-map"),
        ({"event": "track"}, "not-a-map"),
        ({"event": "untrack"}, "untrack"),
        ({"event": "other"}, "unknown"),
        ({}, "unknown"),
        ([], "unknown"),
    ],
)
def test_a_presence_message_is_read(payload: object, call: str) -> None:
    assert rules.presence_call(payload) == call


def test_a_client_that_lets_more_wait_than_its_queue_may_hold_is_cut_off() -> None:
    limits = replace(FREE, socket_queue_bytes=100)
    assert [rules.reads_too_slowly(waiting, limits) for waiting in (0, 100, 101)] == [False, False, True]
