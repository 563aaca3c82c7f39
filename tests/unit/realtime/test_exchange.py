"""What the server's frames mean for a channel of ours, each line of the table of `exchange`."""

from __future__ import annotations

import pytest

from migctl.errors import Systemic, Transient
from migctl.transports.realtime.exchange import (
    ACKNOWLEDGED_WITHIN_S,
    Acknowledged,
    Broadcast,
    Change,
    ChannelLost,
    Exchange,
    Joined,
    RateLimited,
    Subscribed,
    refused_upgrade,
)
from migctl.transports.realtime.frames import Frame

A, B = "realtime:a", "realtime:b"


def reply(ref: object, status: str = "ok", response: object = None, topic: str = A) -> Frame:
    return Frame(topic, "phx_reply", {"status": status, "response": response or {}}, str(ref))


def said(what: str, topic: str = A, **payload: object) -> Frame:
    return Frame(topic, what, payload, None)


def of_changes(status: str) -> Frame:
    return said("system", extension="postgres_changes", status=status, message="no such table")


def test_refs_count_up_and_name_the_join_of_their_topic() -> None:
    exchange = Exchange([A, B])
    assert exchange.sends("phoenix") == (1, None)
    assert exchange.joins(A) == (2, 2)
    assert exchange.joins(B) == (3, 3)
    assert exchange.pushes(A, 0.0) == (4, 2)
    assert exchange.sends(B) == (5, 3)
    assert exchange.sends("phoenix") == (6, None)


def test_a_join_is_answered_by_its_ref_and_once() -> None:
    exchange = Exchange([A, B])
    exchange.joins(A)
    exchange.joins(B)
    assert exchange.hears(reply(2, topic=B)) == Joined(B)
    assert exchange.hears(reply(1)) == Joined(A)
    assert exchange.hears(reply(1)) is None


@pytest.mark.parametrize(
    "reason",
    [
        "Unauthorized: no", "InvalidJWTToken: old", "MalformedJWT: x", "JwtSignatureError: x", "PrivateOnly: x",
        "TopicNameRequired: x", "TenantNotFound: x",
    ],
)  # fmt: skip
def test_a_join_that_is_refused_whoever_asks_is_systemic(reason: str) -> None:
    exchange = Exchange([A])
    exchange.joins(A)
    with pytest.raises(Systemic, match=reason):
        exchange.hears(reply(1, "error", {"reason": reason}))


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("UnableToConnectToProject: x", ChannelLost),
        ("ClientJoinRateLimitReached: x", RateLimited),
        ("ChannelRateLimitReached: x", RateLimited),
        ("ConnectionRateLimitReached: x", RateLimited),
    ],
)
def test_a_join_that_is_refused_for_another_reason_loses_the_channel(
    reason: str, kind: type[ChannelLost]
) -> None:
    exchange = Exchange([A])
    exchange.joins(A)
    with pytest.raises(ChannelLost, match=reason) as lost:
        exchange.hears(reply(1, "error", {"reason": reason}))
    assert type(lost.value) is kind


def test_broadcasts_are_settled_with_the_last_acknowledgement() -> None:
    exchange = Exchange([A])
    exchange.joins(A)
    exchange.hears(reply(1))
    exchange.pushes(A, 10.0)
    exchange.pushes(A, 10.5)
    assert exchange.hears(reply(3)) == Acknowledged(settled=False)
    assert exchange.hears(reply(2)) == Acknowledged(settled=True)
    assert exchange.hears(reply(2)) is None
    assert exchange.acknowledged == 2


@pytest.mark.parametrize("response", ["payload_size_exceeded", {"reason": "payload_size_exceeded"}])
def test_a_broadcast_that_is_refused_loses_the_channel(response: object) -> None:
    exchange = Exchange([A])
    exchange.pushes(A, 0.0)
    with pytest.raises(ChannelLost, match="a broadcast was refused: payload_size_exceeded"):
        exchange.hears(reply(1, "error", response))
    assert exchange.acknowledged == 0


def test_an_answer_to_a_heartbeat_or_a_token_says_nothing() -> None:
    exchange = Exchange([A])
    exchange.sends(A)
    assert exchange.hears(reply(1)) is None
    assert exchange.hears(reply(1, "error")) is None


def test_the_oldest_that_waits_says_how_long_and_loses_the_channel_when_it_is_over() -> None:
    exchange = Exchange([A])
    assert exchange.left_s(10.0) is None
    exchange.pushes(A, 10.0)
    exchange.pushes(A, 10.75)
    assert exchange.left_s(10.5) == ACKNOWLEDGED_WITHIN_S - 0.5
    exchange.hears(reply(1))
    assert exchange.left_s(11.0) == ACKNOWLEDGED_WITHIN_S - 0.25
    with pytest.raises(ChannelLost, match="no acknowledgement for 1 s"):
        exchange.left_s(11.75)


@pytest.mark.parametrize(
    ("frame", "changes", "meaning"),
    [
        (said("broadcast", event="e", payload={"n": 1}), False, Broadcast("e", {"n": 1})),
        (said("broadcast", event="e", payload=[1]), False, Broadcast("e", {})),
        (said("broadcast", topic="realtime:other", event="e", payload={}), False, None),
        (said("phx_close", topic="realtime:other"), False, None),
        (said("postgres_changes", data={"n": 1}), True, Change({"n": 1})),
        (said("postgres_changes", data=None), True, Change({})),
        (said("postgres_changes", data={"n": 1}), False, None),
        (of_changes("ok"), True, Subscribed()),
        (of_changes("ok"), False, None),
        (said("presence_state"), True, None),
        (said("system", status="ok", extension="system"), True, None),
    ],
)
def test_what_the_server_says_by_itself(frame: Frame, changes: bool, meaning: object) -> None:
    assert Exchange([A], changes=changes).hears(frame) == meaning


def test_a_subscription_to_changes_that_fails_loses_the_channel() -> None:
    with pytest.raises(ChannelLost, match="no postgres_changes: no such table"):
        Exchange([A], changes=True).hears(of_changes("error"))


@pytest.mark.parametrize("event", ["phx_close", "phx_error"])
@pytest.mark.parametrize(
    ("before", "why", "kind"),
    [
        ([], "the server sent", ChannelLost),
        (["Token has expired 3 seconds ago"], "Token has expired 3 seconds ago", ChannelLost),
        (["one", "Too many messages per second"], "Too many messages per second", RateLimited),
    ],
)
def test_the_end_has_the_last_reason_that_was_said(
    event: str, before: list[str], why: str, kind: type[ChannelLost]
) -> None:
    exchange = Exchange([A, B])
    for message in before:
        assert exchange.hears(said("system", status="error", extension="system", message=message)) is None
    with pytest.raises(ChannelLost, match=why) as lost:
        exchange.hears(said(event, topic=B))
    assert type(lost.value) is kind
    assert lost.value.what.startswith("channel realtime:a: ")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Systemic),
        (403, Systemic),
        (404, Systemic),
        (429, RateLimited),
        (500, Transient),
        (503, Transient),
    ],
)
def test_a_status_instead_of_a_socket(status: int, kind: type[Exception]) -> None:
    assert type(refused_upgrade("open", status)) is kind
