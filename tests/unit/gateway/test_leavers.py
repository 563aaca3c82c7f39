"""Who left is remembered, within a bound, and what is forgotten is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from migctl.runtime.remembering import Remembered, leavers_of
from migctl.status.clients import ClientStatus
from migctl.transports.websocket.leavers import Leavers

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def client(
    seen: float, user: str | None = None, *, connected: bool = False, witness: bool = False
) -> ClientStatus:
    return ClientStatus(
        transport="websocket",
        protocol="v2",
        user=user,
        since=ago(900),
        last_seen=ago(seen),
        connected=connected,
        witness=witness,
    )


def test_a_user_that_comes_and_goes_is_one_and_those_without_a_name_are_each_one() -> None:
    left = Leavers(
        ago(60), [client(30, "a"), client(20), client(10, "a"), client(5), client(1, witness=True)]
    )
    assert [(one.user, one.last_seen) for one in left.all()] == [
        (None, ago(20)),
        ("a", ago(10)),
        (None, ago(5)),
    ]
    assert left.since == ago(60)


def test_whoever_is_forgotten_moves_the_begin_of_what_is_known() -> None:
    left = Leavers(ago(60), [client(30, "a"), client(20, "b"), client(10, "c")], most=2)
    assert [one.user for one in left.all()] == ["b", "c"]
    assert left.since == ago(30)


def remembered(*, ended: bool) -> Remembered:
    clients = [client(0, "here", connected=True), client(20, "left")]
    return Remembered(ended=ended, at=ago(2), remembers_from=ago(500), clients=clients)


def test_after_a_clean_stop_it_remembers_as_far_back_as_before() -> None:
    left = leavers_of(remembered(ended=True), NOW)
    assert left.since == ago(500)
    assert [(one.user, one.last_seen, one.connected) for one in left.all()] == [
        ("left", ago(20), False),
        ("here", ago(2), False),
    ]


def test_after_a_kill_it_remembers_from_its_start_and_still_lists_what_was_written() -> None:
    left = leavers_of(remembered(ended=False), NOW)
    assert left.since == NOW
    assert [one.user for one in left.all()] == ["left", "here"]


def test_without_a_file_it_remembers_from_its_start() -> None:
    assert leavers_of(None, NOW).since == NOW
