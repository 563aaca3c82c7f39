"""Which rows of realtime.messages are broadcasts, and which come again with a join."""

from __future__ import annotations

from typing import Any

import pytest

from migctl.stack.standin.limits import PLANS, Limits
from migctl.stack.standin.realtime import stored
from migctl.stack.standin.realtime.config import Replay
from migctl.stack.standin.realtime.frames import UserBroadcast
from migctl.stack.standin.realtime.rules import Denied
from migctl.stack.standin.realtime.stored import Again, Stored, Window
from migctl.stack.standin.wal.pgoutput import Change, Column, Relation

LIMITS = Limits(plan=PLANS["free"])
ROW = {
    "topic": b"t",
    "private": b"t",
    "event": b"e",
    "id": b"i",
    "payload": b'{"a": 1}',
    "binary_payload": None,
}
MESSAGES = Relation(1, "realtime", "messages_2026_01_01", tuple(Column(name, 25, False) for name in ROW))


def inserted(**other: bytes | None) -> Change:
    return Change("INSERT", MESSAGES, tuple({**ROW, **other}.values()), None)


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({}, Stored("t", True, UserBroadcast("e", b'{"a": 1}', True, "i"))),
        ({"private": b"f"}, Stored("t", False, UserBroadcast("e", b'{"a": 1}', True, "i"))),
        (
            {"payload": None, "binary_payload": b"\\x00ff"},
            Stored("t", True, UserBroadcast("e", b"\0\xff", False, "i")),
        ),
        ({"event": None}, None),
        ({"private": None}, None),
        ({"payload": None}, None),
        ({"payload": b"1" * 256_001}, None),
    ],
    ids=["private", "public", "binary", "no event", "no private", "no payload", "too large"],
)
def test_a_row_is_a_broadcast_or_is_lost(other: dict[str, bytes | None], found: Stored | None) -> None:
    assert stored.broadcast_of(inserted(**other), LIMITS, over_rate=False) == found


def test_a_row_that_is_updated_or_deleted_is_no_broadcast() -> None:
    old = tuple(ROW.values())
    assert stored.broadcast_of(Change("UPDATE", MESSAGES, old, old), LIMITS, over_rate=False) is None
    assert stored.broadcast_of(Change("DELETE", MESSAGES, None, old), LIMITS, over_rate=False) is None


def test_over_the_rate_a_row_is_lost() -> None:
    assert stored.broadcast_of(inserted(), LIMITS, over_rate=True) is None


@pytest.mark.parametrize(
    ("params", "window"),
    [
        ({"since": 5}, Window(5, 25)),
        ({"since": 5, "limit": None}, Window(5, 25)),
        ({"since": 5, "limit": 3}, Window(5, 3)),
        ({"since": 5, "limit": 0}, Window(5, 1)),
        ({"since": 5, "limit": 26}, Window(5, 25)),
        (None, None),
    ],
)
def test_a_replay_is_of_the_newest_25_at_most(params: dict[str, Any] | None, window: Window | None) -> None:
    assert stored.window(Replay(params), "t", private=True, may_read=True) == window


@pytest.mark.parametrize(
    ("params", "private", "may_read", "words"),
    [
        ({"since": 5}, True, False, "Unauthorized: You do not have permissions"),
        (None, False, None, "UnableToReplayMessages: Replay is not allowed for public channels"),
        ({}, True, True, "UnableToReplayMessages: Replay params are not valid"),
        ({"since": "5"}, True, True, "UnableToReplayMessages: Replay params are not valid"),
        ({"since": True}, True, True, "UnableToReplayMessages: Replay params are not valid"),
        ({"since": 1 << 60}, True, True, "UnableToReplayMessages: Replay params are not valid"),
        ({"since": 5, "limit": "3"}, True, True, "UnableToReplayMessages: Replay params are not valid"),
    ],
)
def test_a_replay_that_can_not_be_is_refused(
    params: dict[str, Any] | None, private: bool, may_read: bool | None, words: str
) -> None:
    with pytest.raises(Denied, match=words):
        stored.window(Replay(params), "t", private=private, may_read=may_read)


def test_a_join_that_does_not_ask_gets_no_replay() -> None:
    assert stored.window(None, "t", private=False, may_read=None) is None


def test_a_binary_row_is_replayed_to_protocol_2_alone() -> None:
    binary = Again("i", "e", None, b"\0")
    assert stored.frame_of(binary, "1.0.0", "realtime:t", "1") is None
    frame = stored.frame_of(binary, "2.0.0", "realtime:t", "1") or b""
    assert frame.endswith(b'\x04\x0a\x01\x1a\x00realtime:te{"id":"i","replayed":true}\0')
    text = stored.frame_of(Again("i", "e", b'{"a": 1}', None), "1.0.0", "realtime:t", "1") or b""
    assert text.endswith(
        b'"payload":{"type":"broadcast","event":"e","payload":{"a":1},"meta":{"replayed":true,"id":"i"}}}'
    )
