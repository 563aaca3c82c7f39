"""A test for each cell of the tables of migctl.rollout.completing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import msgspec
import pytest

from migctl.rollout.completing import (
    Asked,
    Completion,
    Go,
    Hold,
    Holding,
    Nothing,
    advance,
    begin,
    holding,
)
from migctl.status.clients import ClientProtocol, ClientStatus, ClientTransport

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
DRAIN = 60.0


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def client(
    seen: float, *, connected: bool = False, transport: ClientTransport = "websocket", witness: bool = False
) -> ClientStatus:
    return ClientStatus(
        transport=transport, protocol="v2", user="u", since=ago(900), last_seen=ago(seen), connected=connected, witness=witness
    )  # fmt: skip


def test_a_process_that_has_nothing_but_the_websocket_holds_and_is_covered_by_nothing() -> None:
    held = holding([Asked(process="a", remembers_from=ago(1440), mode="websocket")], DRAIN, NOW)
    assert (held.alone, held.covered(1000)) == (("a",), False)
    found = advance("draining", ago(1), 0.0, held, NOW, accept_lost=1000)
    assert found == Hold("a runs in mode websocket: what it takes reaches nobody elsewhere")


def held_by(*clients: ClientStatus, drain: float = DRAIN) -> Holding:
    return holding([Asked(process="a", remembers_from=ago(1440), clients=clients)], drain, NOW)


@pytest.mark.parametrize(
    ("one", "holds"),
    [
        (client(0, connected=True), True),
        (client(500, connected=True), True),
        (client(59), True),
        (client(-5), True),
        (client(60), False),
        (client(61), False),
        (client(0, connected=True, transport="standby"), False),
        (client(0, connected=True, witness=True), False),
    ],
)
def test_who_holds_it_back(one: ClientStatus, holds: bool) -> None:
    assert held_by(one).clients == ((one,) if holds else ())


@pytest.mark.parametrize("protocol", get_args(ClientProtocol))
def test_each_protocol_is_a_subscriber(protocol: ClientProtocol) -> None:
    one = msgspec.structs.replace(client(0, connected=True), protocol=protocol)
    assert held_by(one).clients == (one,)


def test_with_no_drain_only_who_is_connected_holds_it_back() -> None:
    here = client(0, connected=True)
    assert held_by(here, client(0), drain=0).clients == (here,)


def test_a_process_that_is_silent_or_remembers_too_little_holds_it_back_whatever_is_accepted() -> None:
    silent = holding([Asked(process="a", remembers_from=None)], DRAIN, NOW)
    short = holding([Asked(process="b", remembers_from=ago(59))], DRAIN, NOW)
    assert (silent.silent, short.short) == (("a",), ("b",))
    assert not silent.covered(1000)
    assert not short.covered(1000)
    assert holding([Asked(process="b", remembers_from=ago(60))], DRAIN, NOW).covered(0)


def test_it_begins_after_the_last_stage_passed_or_by_force() -> None:
    assert begin(last_passed=True, forced=False) == Go("rampdown")
    assert begin(last_passed=False, forced=True) == Go("rampdown")
    assert isinstance(begin(last_passed=False, forced=False), Hold)


@pytest.mark.parametrize(
    ("phase", "minutes", "clients", "accepted", "to"),
    [
        ("rampdown", 9, 0, 0, None),
        ("rampdown", 10, 5, 0, "draining"),
        ("draining", 0, 0, 0, "completed"),
        ("draining", 0, 2, 0, None),
        ("draining", 0, 2, 1, None),
        ("draining", 0, 2, 2, "completed"),
    ],
)
def test_the_phases(
    phase: Completion, minutes: float, clients: int, accepted: int, to: Completion | None
) -> None:
    held = held_by(*[client(1)] * clients)
    done = advance(phase, ago(minutes), 10, held, NOW, accepted)
    assert done == Go(to) if to else isinstance(done, Hold)


def test_what_is_left_of_the_rampdown_is_told() -> None:
    done = advance("rampdown", ago(9), 10, Holding(), NOW)
    assert isinstance(done, Hold)
    assert done.left_s == 60


def test_who_holds_it_back_is_told_in_words() -> None:
    held = Holding(clients=(client(0, connected=True), client(5)), silent=("a",), short=("b",))
    done = advance("draining", NOW, 10, held, NOW)
    assert isinstance(done, Hold)
    assert done.reason == (
        "WebSocket subscribers: 1 connected, 1 seen lately; no answer from a, which may have subscribers; "
        "b cannot say yet who left lately"
    )


def test_nothing_is_left_to_do_once_it_is_completed() -> None:
    assert advance("completed", NOW, 10, held_by(client(0, connected=True)), NOW) == Nothing()
