"""What counts as wrong in a status, what is to be done about it, and what is ready. By fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from migctl.status import (
    BreakersStatus,
    BreakerStatus,
    ConnectionsStatus,
    ConnectionStatus,
    FlagsStatus,
    FlagTierStatus,
    GatewayStatus,
    HostStatus,
    OutagesStatus,
    Problem,
    RelayStatus,
    RequestsStatus,
    ServeStatus,
    TapStatus,
    ThrottleStatus,
    TransportsStatus,
    UpstreamStatus,
)
from migctl.status.health import OLDEST_WAITS_S, health, problems, readiness
from migctl.status.losses import losses, rejects
from tests.kit.statuses import NAMES, document, status

SINCE = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = datetime(2026, 1, 31, 12, 5, tzinfo=UTC)

CLOSED = BreakerStatus(state="closed", since=None, reason=None, do=None, opened=0, next_trial_in_s=None)
OPEN = BreakerStatus(
    state="open", since=LATER, reason="no canary", do="see the logs", opened=1, next_trial_in_s=0.5
)
TABLE = RequestsStatus(
    state="running", since=SINCE, reason=None, do=None, attempts=3, retries=0, request_timeout_s=0.5
)
BROADCAST = ConnectionStatus(state="connected", since=SINCE, reason=None, do=None)
RELAY = RelayStatus(
    state="running", reason=None, do=None, epoch="e", table_head=7, journal_head=10, backlog=3, oldest_waits_s=0.1,
    batches=1, rows=7, repeats=0, retries=0, cuts={}, tombstones={}, set_back=None,
)  # fmt: skip
HEARD = FlagTierStatus(state="running", since=SINCE, reason=None, do=None, age_s=0.1)
LOST = replace(HEARD, state="retrying", reason="refused")
OUTAGES = OutagesStatus(count=0, total_s=0.0, lasting=None, latest=[])
HOST = HostStatus(
    source="host", state="measuring", waiting_for=None, accepted=1, rejected=0, rate_wanted_per_s=1.0,
    deadlines_missed=0, by_event_type={}, not_measured={},
)  # fmt: skip


def well() -> ServeStatus:
    """Every part is there, and none has anything to say."""
    of = status("everything")
    assert of.transports.websocket is not None
    upstream = UpstreamStatus(url="ws://old/ws", failures=2, reason=None)
    return replace(
        of,
        draining=False,
        journal=replace(of.journal, full=None, stalled=None, stalled_do=None),
        relay=RELAY,
        connections=ConnectionsStatus(table=TABLE, heads=TABLE, broadcast=BROADCAST, gateway=BROADCAST),
        breakers=BreakersStatus(table=CLOSED, broadcast=CLOSED),
        transports=replace(of.transports, websocket=replace(of.transports.websocket, upstream=upstream)),
        source=HOST,
        source_done=False,
        flags=flags(),
    )


def flags(**changes: Any) -> FlagsStatus:
    of = status("everything").flags
    assert of is not None
    well = {"unkept": None, "unreadable_n": 0, "brakes": [], "tiers": {"record": HEARD, "redis": HEARD}}
    return replace(of, **{**well, **changes})


def gateway_with(upstream: UpstreamStatus | None) -> GatewayStatus:
    of = well().transports.websocket
    assert of is not None
    return replace(of, upstream=upstream)


def tap(**changes: Any) -> TapStatus:
    of = status("everything").source
    assert isinstance(of, TapStatus)
    outages = replace(of.outages, recent=0)
    well = {
        "state": "connected",
        "waiting_for": None,
        "reason": None,
        "rejected_waiting": 0,
        "without_time": 0,
        "unmapped_messages": 0,
        "outages": outages,
    }
    return replace(of, **{**well, **changes})


def test_nothing_is_wrong_where_all_parts_say_they_are_well() -> None:
    assert problems(well()) == []
    assert problems(replace(well(), relay=None, source=None)) == []
    assert health(well()).status == "ok"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"draining": True}, "serve: draining"),
        ({"journal": replace(well().journal, full="no room")}, "journal: takes no events: no room"),
        ({"journal": replace(well().journal, stalled="locked")}, "journal: stalled: locked"),
        (
            {"connections": ConnectionsStatus(table=replace(TABLE, state="paused", reason="no table"))},
            "table: paused: no table",
        ),
        ({"connections": ConnectionsStatus(heads=replace(TABLE, state="connecting"))}, "heads: connecting"),
        (
            {
                "connections": ConnectionsStatus(table=replace(TABLE, state="retrying", reason="refused")),
                "breakers": BreakersStatus(table=replace(OPEN, reason="refused")),
            },
            "table: retrying, breaker open: refused",
        ),
        (
            {"breakers": BreakersStatus(broadcast=replace(OPEN, state="half_open"))},
            "broadcast: connected, breaker half-open: no canary",
        ),
        (
            {"connections": ConnectionsStatus(broadcast=replace(BROADCAST, state="degraded", reason="slow"))},
            "broadcast: degraded: slow",
        ),
        (
            {"connections": ConnectionsStatus(gateway=replace(BROADCAST, state="closed", reason="draining"))},
            "gateway: closed: draining",
        ),
        (
            {"relay": replace(RELAY, backlog=4000, oldest_waits_s=61.0)},
            "relay: behind: 4,000 events wait for the table, the oldest for 61 s",
        ),
        (
            {
                "transports": TransportsStatus(
                    websocket=gateway_with(UpstreamStatus(url="ws://old/ws", failures=1, reason="refused"))
                )
            },
            "old service: sockets can't be passed through: refused",
        ),
        (
            {
                "transports": TransportsStatus(
                    websocket=gateway_with(
                        UpstreamStatus(url="ws://old/ws", failures=1, reason="refused", feeding="both")
                    )
                )
            },
            "old service: away: its dashboards get the journal's events, and no replies: refused",
        ),
        (
            {
                "transports": TransportsStatus(
                    websocket=gateway_with(
                        UpstreamStatus(
                            url="ws://old/ws", failures=0, reason=None, unsent=3, dark_since=well().started_at
                        )
                    )
                )
            },
            "old dashboards: dark: 3 events of the journal not sent to them: "
            "the old service sends no event, and legacy.serve is upstream",
        ),
        (
            {"source": replace(HOST, state="waiting", waiting_for="full")},
            "source: waits for the journal: full",
        ),
        ({"source": replace(HOST, state="closed")}, "source: closed"),
        ({"source": tap(state="waiting", reason="refused")}, "source: waiting: refused"),
        ({"source": tap(state="connecting")}, "source: connecting"),
        (
            {"flags": flags(tiers={"record": LOST, "redis": HEARD})},
            "flags: record retrying, flags hold as they are: refused",
        ),
        ({"flags": flags(tiers={"record": HEARD, "redis": LOST})}, "flags: redis retrying: refused"),
        (
            {"flags": flags(blind=True, tiers={"record": replace(HEARD, state="connecting")})},
            "flags: record connecting, nobody is sent to Realtime before it was reached",
        ),
        (
            {"flags": flags(unkept="no space")},
            "flags: not on disk, so no brake is confirmed: no space",
        ),
        (
            {"flags": flags(n=1, unreadable_n=2)},
            "flags: the newest flag set can't be read: n 2; in use is 1",
        ),
    ],
)
def test_each_part_that_is_not_well_is_named_with_its_reason_and_a_way_out(
    change: dict[str, Any], said: str
) -> None:
    [problem] = problems(replace(well(), **change))
    assert problem.sentence() == said
    assert problem.do
    assert health(replace(well(), **change)).status == "degraded"


def test_the_way_out_is_that_of_the_part_and_else_that_of_its_breaker() -> None:
    paused = replace(TABLE, state="paused", reason="no table", do="migctl schema apply")
    of = replace(well(), connections=ConnectionsStatus(table=paused), breakers=BreakersStatus(table=OPEN))
    assert problems(of) == [
        Problem(part="table", state="paused, breaker open", reason="no table", do="migctl schema apply", since=SINCE)
    ]  # fmt: skip
    [of_breaker] = problems(replace(of, connections=ConnectionsStatus(table=replace(paused, do=None))))
    assert of_breaker.do == "see the logs"
    [connected] = problems(replace(of, connections=ConnectionsStatus(table=TABLE)))
    assert (connected.reason, connected.since) == ("no canary", LATER), "what is not well is the breaker"


def test_an_outage_says_since_when() -> None:
    of = replace(well(), source=tap(state="waiting", reason="refused"))
    [problem] = problems(of)
    lasting = tap().outages.lasting
    assert lasting is not None
    assert problem.since == lasting.began


def test_a_batch_that_is_under_way_is_no_backlog() -> None:
    assert problems(replace(well(), relay=replace(RELAY, oldest_waits_s=OLDEST_WAITS_S))) == []


def test_source_that_was_read_to_its_end_is_no_problem() -> None:
    assert problems(replace(well(), source=replace(HOST, state="closed"), source_done=True)) == []


@pytest.mark.parametrize("name", NAMES)
def test_documents_say_what_is_wrong_with_them(name: str) -> None:
    assert msgspec.to_builtins(health(status(name))) == document(name)["health"]


AWAY = ConnectionsStatus(
    table=replace(TABLE, state="retrying"), heads=TABLE, broadcast=replace(BROADCAST, state="degraded")
)


@pytest.mark.parametrize(
    ("change", "ready", "said"),
    [
        ({}, True, {"status": "ok", "degraded": []}),
        (
            {"connections": AWAY},
            True,
            {"status": "degraded", "degraded": ["table", "broadcast"]},
        ),
        (
            {"connections": AWAY, "breakers": BreakersStatus(table=OPEN, broadcast=OPEN)},
            True,
            {"status": "degraded", "degraded": ["table", "broadcast"]},
        ),
        (
            {"breakers": BreakersStatus(table=CLOSED, broadcast=replace(OPEN, state="half_open"))},
            True,
            {"status": "degraded", "degraded": ["broadcast"]},
        ),
        (
            {"journal": replace(well().journal, full="no room"), "connections": AWAY},
            False,
            {"status": "full", "reason": "no room"},
        ),
        (
            {"journal": replace(well().journal, stalled="locked"), "connections": AWAY},
            False,
            {"status": "stalled", "reason": "locked"},
        ),
        (
            {"journal": replace(well().journal, full="no room", stalled="locked")},
            False,
            {"status": "full", "reason": "no room"},
        ),
        ({"draining": True, "journal": replace(well().journal, full="x")}, False, {"status": "draining"}),
    ],
)
def test_ready_is_who_takes_events_and_delivers_them_in_some_way(
    change: dict[str, Any], ready: bool, said: dict[str, Any]
) -> None:
    found = readiness(replace(well(), **change))
    assert (found.ready, msgspec.to_builtins(found)) == (ready, said)


@pytest.mark.parametrize(("silent_s", "is_gone"), [(None, False), (14.0, False), (16.0, True)])
def test_a_witness_that_says_nothing_is_told_where_one_is_kept(silent_s: float | None, is_gone: bool) -> None:
    found = [
        one
        for one in problems(replace(status("everything"), witness_silent_s=silent_s))
        if one.part == "witness"
    ]
    assert [one.state for one in found] == ["gone, and gates have no evidence"] * is_gone


def test_a_relay_that_somebody_holds_is_throttled_and_not_behind() -> None:
    held = ThrottleStatus(reason="vacuum", by="kim", since=SINCE)
    of = replace(well(), relay=replace(RELAY, oldest_waits_s=90.0, throttled=held))
    (found,) = problems(of)
    assert (found.part, found.state, found.since) == ("relay", "throttled", SINCE)
    assert "vacuum (by kim)" in str(found.reason)
    assert "no-throttle" in found.do


def test_what_was_lost_before_the_journal_is_wrong_also_once_the_source_has_ended() -> None:
    lost = tap(
        accepted=0, duplicates=0, rejected=3, rejected_waiting=2, rejected_lost=1,
        outages=OutagesStatus(count=4, total_s=3.2, lasting=None, latest=[], recent=1, file="/s/outages.ndjson"),
    )  # fmt: skip
    for done in (False, True):
        found = problems(replace(well(), source=lost, source_done=done))
        assert [one.state for one in found] == [
            "rejected 1 that could not be kept", "rejects everything: 2 rejected", "1 outage within the last hour",
        ]  # fmt: skip
        assert "migctl rejected list" in found[1].do and "/s/outages.ndjson" in found[2].do


def test_a_source_of_which_nothing_waits_is_well() -> None:
    assert problems(replace(well(), source=tap(rejected=7, outages=OUTAGES))) == []
    assert losses(tap(rejected=7, without_time=0, outages=OUTAGES)) == []
    assert losses(None) == losses(HOST) == []


def test_losses_are_said_with_their_figures_and_where_to_look() -> None:
    of = tap(rejected_waiting=2, rejected_lost=1, without_time=5, unmapped_messages=4)
    assert losses(of) == [
        "2 rejected: `migctl rejected list`",
        "1 rejected and not kept: see the log",
        f"4 without some of their fields: {of.unmapped_file}",
        "5 with the time of their arrival",
        f"2 outages, 3.2 s: {of.outages.file}",
    ]
    assert rejects(of) and rejects(tap(rejected_lost=1))
    assert not rejects(tap(rejected=3)) and not rejects(None)


@pytest.mark.parametrize(("expected", "count"), [([], 2), (["times"], 1), (["times", "fields"], 0)])
def test_times_and_fields_that_readers_do_not_get_are_wrong_unless_the_settings_say_so(
    expected: list[Any], count: int
) -> None:
    of = tap(
        without_time=5, times_replaced=3, expected=expected,
        unmapped={f".{one}": one for one in range(7)}, unmapped_messages=6, unmapped_file="/s/unmapped.ndjson",
    )  # fmt: skip
    found = problems(replace(well(), source=of))
    assert len(found) == count
    for one in found:
        assert "migctl map preview" in one.do and "source." in one.do
    if count == 2:
        assert ".6, .5, .4, .3, .2 and 2 more; counted in /s/unmapped.ndjson" in str(found[0].reason)
        assert "3 had one that can't be read" in str(found[1].reason)
