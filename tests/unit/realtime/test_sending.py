"""By which way a message goes to Realtime, what an answer says of the rate, and which message is our canary."""

from __future__ import annotations

import pytest

from migctl.errors import MigctlError, Systemic, Transient
from migctl.resilience import BreakerState
from migctl.target.errors import Rejected
from migctl.transports.realtime.canary import EVENT, number_of
from migctl.transports.realtime.endpoint import left_of
from migctl.transports.realtime.exchange import RateLimited
from migctl.transports.realtime.sender import Way, leaves_too_little, was_proven, way

STATES: tuple[BreakerState, ...] = ("closed", "open", "half_open")


@pytest.mark.parametrize("breaker", STATES)
@pytest.mark.parametrize("trial", [False, True])
@pytest.mark.parametrize(
    ("joined", "answered", "http_away_s", "found"),
    [
        (True, False, 0.0, "channel"),
        (True, True, 1.0, "channel"),
        (False, False, 0.0, None),
        (False, False, 1.0, None),
        (False, True, 1.0, None),
    ],
)
def test_what_the_breaker_has_no_say_in(
    joined: bool, answered: bool, http_away_s: float, found: Way | None, trial: bool, breaker: BreakerState
) -> None:
    how = way(joined=joined, answered=answered, http_away_s=http_away_s, breaker=breaker, trial=trial)
    assert how == found


@pytest.mark.parametrize(
    ("breaker", "trial", "found"),
    [
        ("closed", False, "http"),
        ("closed", True, "http"),
        ("open", False, None),
        ("open", True, "http"),
        ("half_open", False, None),
        ("half_open", True, "http"),
    ],
)
@pytest.mark.parametrize("http_away_s", [0.0, -1.0])
def test_while_the_breaker_is_not_closed_http_takes_canaries_only(
    breaker: BreakerState, trial: bool, found: Way | None, http_away_s: float
) -> None:
    assert way(joined=False, answered=True, http_away_s=http_away_s, breaker=breaker, trial=trial) == found


@pytest.mark.parametrize(("acknowledged", "worked"), [(None, False), (0, False), (1, True), (7, True)])
def test_only_an_acknowledgement_proves_a_channel(acknowledged: int | None, worked: bool) -> None:
    assert was_proven(acknowledged) is worked


@pytest.mark.parametrize(
    ("left", "little"), [(None, False), (0, True), (10, True), (11, False), (100, False)]
)
def test_a_rate_is_spent_once_one_more_message_to_all_does_not_fit(left: int | None, little: bool) -> None:
    assert leaves_too_little(left, 10) is little


@pytest.mark.parametrize(
    ("status", "kind"), [(429, RateLimited), (422, Rejected), (503, Transient), (401, Systemic)]
)
def test_what_a_refusal_by_http_means(status: int, kind: type[MigctlError]) -> None:
    with pytest.raises(kind):
        left_of("broadcast", status, b"{}", {"x-rate-limit-remaining": "7"})


@pytest.mark.parametrize(
    ("said", "left"), [("7", 7), ("0", 0), ("", None), ("-1", None), ("1e3", None), ("9" * 10, None)]
)
def test_what_is_left_of_the_rate(said: str, left: int | None) -> None:
    assert left_of("broadcast", 202, b"", {"x-rate-limit-remaining": said}) == left
    assert left_of("broadcast", 202, b"", {}) is None


@pytest.mark.parametrize(
    ("event", "payload", "number"),
    [
        (EVENT, {"from": "we", "n": 3}, 3),
        (EVENT, {"from": "they", "n": 3}, None),
        (EVENT, {"n": 3}, None),
        (EVENT, {"from": "we", "n": "3"}, None),
        (EVENT, {"from": "we", "n": True}, None),
        (EVENT, {"from": "we"}, None),
        ("events", {"from": "we", "n": 3}, None),
    ],
)
def test_which_message_is_our_canary(event: str, payload: dict[str, object], number: int | None) -> None:
    assert number_of(event, payload, "we") == number
