"""Indicators: rows of their tables."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from migctl.status import BreakersStatus, ServeStatus
from migctl.status.indicators import Indicators, words
from tests.kit.statuses import breaker, status

OF = status("everything")
NOW = OF.started_at + timedelta(seconds=60)


def well(of: ServeStatus = OF) -> ServeStatus:
    """Of a document in which every part has something to say, one in which the transports are well."""
    transports, relay, fallback = of.transports, of.relay, of.fallback
    assert transports.websocket is not None
    assert transports.realtime is not None
    assert relay is not None
    assert fallback is not None
    return replace(
        of,
        draining=False,
        witness=None,
        transports=replace(
            transports,
            websocket=replace(transports.websocket, state="connected", behind_events=0),
            realtime=replace(transports.realtime, state="connected"),
        ),
        breakers=BreakersStatus(table=breaker("closed"), broadcast=breaker("closed")),
        relay=replace(relay, oldest_waits_s=0.0),
        fallback=replace(fallback, active=False),
    )


def word(of: ServeStatus) -> tuple[str, str]:
    found = words(of, NOW)
    return found["websocket"][0], found["realtime"][0]


def test_where_all_is_well_both_are_connected() -> None:
    assert word(well()) == ("connected", "connected")


def test_an_open_breaker_is_fallback_where_the_gateway_carries_and_down_where_not() -> None:
    of = replace(
        well(), breakers=BreakersStatus(table=breaker("closed"), broadcast=breaker("open", "silent"))
    )
    assert word(of) == ("connected", "fallback")
    assert words(of, NOW)["realtime"][1] == "the breaker of broadcast is open: silent"
    assert word(replace(of, fallback=None))[1] == "down"
    assert word(replace(of, draining=True)) == ("down", "down")


def test_closed_breakers_while_subscribers_are_away_are_catching_up() -> None:
    of = well()
    assert of.fallback is not None
    assert word(replace(of, fallback=replace(of.fallback, active=True))) == ("connected", "catching up")


def test_a_gateway_far_behind_is_catching_up() -> None:
    of = well()
    assert of.transports.websocket is not None
    behind = replace(of.transports.websocket, behind_events=5000)
    assert word(replace(of, transports=replace(of.transports, websocket=behind)))[0] == "catching up"


def test_since_is_when_the_word_began_and_another_reason_for_it_begins_nothing() -> None:
    indicators, of = Indicators(), well()
    first = indicators.of(of, NOW)["realtime"]
    later = indicators.of(of, NOW + timedelta(seconds=5))["realtime"]
    assert first.since == later.since == NOW
    broken = replace(of, breakers=BreakersStatus(table=breaker("closed"), broadcast=breaker("open", "gone")))
    trying = replace(
        of, breakers=BreakersStatus(table=breaker("closed"), broadcast=breaker("half_open", "gone"))
    )
    at = NOW + timedelta(seconds=6)
    fell = indicators.of(broken, at)["realtime"]
    tried = indicators.of(trying, at + timedelta(seconds=2))["realtime"]
    assert (fell.state, tried.state) == ("fallback", "fallback") and fell.reason != tried.reason
    assert fell.since == tried.since == at
