"""Whether a dependency is reached: each state with each input, and what of that is worth a log line."""

from __future__ import annotations

import pytest

from migctl.resilience import CONNECTION_STATES, Connection, ConnectionChange, ConnectionState


def connection(state: ConnectionState, *, since: float = 0.0) -> Connection:
    one = Connection(since)
    if state == "running":
        one.succeeded(since)
    elif state != "connecting":
        one.failed(since, state, "earlier", "earlier")
    return one


def test_at_first_nothing_is_known() -> None:
    one = connection("connecting", since=5.0)
    assert (one.state, one.since, one.reason, one.do) == ("connecting", 5.0, None, None)


@pytest.mark.parametrize(
    ("before", "logged", "since"),
    [
        ("connecting", None, 12.5),
        ("running", None, 10.0),
        ("retrying", ConnectionChange("retrying", "running", 2.5), 12.5),
        ("paused", ConnectionChange("paused", "running", 2.5), 12.5),
    ],
)
def test_a_success(before: ConnectionState, logged: ConnectionChange | None, since: float) -> None:
    one = connection(before, since=10.0)
    assert one.succeeded(12.5) == logged
    assert (one.state, one.since, one.reason, one.do) == ("running", since, None, None)


@pytest.mark.parametrize("after", ["retrying", "paused"])
@pytest.mark.parametrize("before", CONNECTION_STATES)
def test_a_failure(before: ConnectionState, after: ConnectionState) -> None:
    assert after in ("retrying", "paused")
    one = connection(before, since=10.0)
    same = before == after
    assert one.failed(12.5, after, "now", "mend it") == (None if same else ConnectionChange(before, after))
    assert (one.state, one.since, one.reason, one.do) == (after, 10.0 if same else 12.5, "now", "mend it")


def test_a_time_of_failures_lasts_from_the_first_whatever_kinds_there_were() -> None:
    one = connection("running")
    one.failed(10.0, "retrying", "no answer", "")
    one.failed(20.0, "paused", "no such table", "")
    one.failed(30.0, "retrying", "no answer", "")
    assert one.succeeded(70.0) == ConnectionChange("retrying", "running", 60.0)
    assert one.succeeded(80.0) is None
    one.failed(90.0, "retrying", "no answer", "")
    assert one.succeeded(91.0) == ConnectionChange("retrying", "running", 1.0)
