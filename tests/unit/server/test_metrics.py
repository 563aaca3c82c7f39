"""The page that a scraper reads: every figure of the status is on it, or is named here as one that is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from migctl.server.counts import Counts
from migctl.server.routes.families import counters, gauge, gauges
from migctl.server.routes.metrics import Metrics, page_of
from migctl.status import BreakersStatus, ConnectionsStatus, HostStatus, ServeStatus, TransportsStatus, read
from migctl.telemetry.metrics import Histogram
from tests.kit.exposition import Read, value
from tests.kit.exposition import read as scrape
from tests.kit.statuses import document, status

# Figures of the status that no metric says: what they are sums or parts of has one, or they are the source's own.
NOT_MEASURED = {
    "witness_silent_s",  # the time less migctl_witness_seen_timestamp_seconds
    "pid",
    "kept.waiting",  # a moment's
    *(
        f"rates.{of}"
        for of in ("over_s", "taken_per_s", "to_table_per_s", "to_websocket_per_s", "to_realtime_per_s")
    ),  # of counters
    "supervision.restarts",  # those of this process; systemd and the log have them all
    "relay.journal_head",
    "relay.set_back.after",
    "relay.set_back.again",  # it is in the backlog then
    "transports.websocket.subscribers",
    "transports.websocket.closing_by_code.*",
    "transports.websocket.delivered_seq",
    "transports.realtime.http_failures",
    "transports.realtime.paced_for_subscribers",
    "transports.realtime.sent_to_seq",
    "transports.realtime.breaker.opened",
    "transports.realtime.breaker.next_trial_in_s",
    "breakers.broadcast.next_trial_in_s",
    "fallback.heads_behind_s",
    "http.requests",
    "http.answered_5xx",
    "http.by_code.*",
    "source.ignored",
    "source.connections",
    "source.frames",
    "source.buffered_frames",
    "source.per_s",  # of a counter
    "witness.pid",
}
STATES = {
    "transports.websocket.state": "migctl_transport_state",
    "transports.realtime.state": "migctl_transport_state",
    "relay.state": "migctl_relay_state",
    "connections.table.state": "migctl_connection_state",
    "connections.heads.state": "migctl_connection_state",
    "connections.broadcast.state": "migctl_connection_state",
    "connections.gateway.state": "migctl_connection_state",
    "breakers.table.state": "migctl_breaker_state",
    "breakers.broadcast.state": "migctl_breaker_state",
}


def page(of: ServeStatus, counts: Counts | None = None) -> dict[str, Read]:
    families = scrape(Metrics(lambda: of, counts or Counts()).page())
    return {name: family for name, family in families.items() if not name.startswith("process_")}


def figures(of: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where the numbers of a document are."""
    for key, each in of.items():
        if isinstance(each, dict):
            yield from figures(each, (*path, key))
        elif isinstance(each, int | float) and not isinstance(each, bool):
            yield (*path, key)


def named(path: tuple[str, ...]) -> str:
    """Keys of a map, which are codes and reasons, are one figure."""
    if path[-2:-1] and re.search(
        r"(_by_code|by_code|cuts|tombstones|refused|dropped_connections|by_event_type|unmapped)$", path[-2]
    ):
        path = (*path[:-1], "*")
    return ".".join(path)


def changed(path: tuple[str, ...], to: Any) -> ServeStatus:
    found = document("everything")
    part = found
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = to(part[path[-1]])
    return read(msgspec.json.encode(found))


def test_each_figure_that_changes_changes_the_page_but_those_that_are_named_here() -> None:
    before = page(status("everything"))
    silent = {
        named(path)
        for path in figures(document("everything"))
        if page(changed(path, lambda number: number + 7)) == before
    }
    assert silent == NOT_MEASURED


@pytest.mark.parametrize(("path", "family"), STATES.items())
def test_a_state_that_changes_changes_its_family(path: str, family: str) -> None:
    keys = tuple(path.split("."))
    other = {"transports": "closed", "relay": "paused", "connections": "connecting", "breakers": "closed"}
    assert page(changed(keys, lambda _: other[keys[0]]))[family] != page(status("everything"))[family]


def test_times_flags_and_reasons_that_a_metric_says() -> None:
    of = status("everything")
    before = page(of)
    assert of.fallback is not None
    assert value(before, "migctl_fallback_active") == 1
    assert value(before, "migctl_journal_full") == value(before, "migctl_journal_stalled") == 1
    assert value(before, "migctl_source_up", kind="tap") == 0
    assert of.connections.table is not None
    assert of.breakers.table is not None
    assert of.breakers.table.since is not None
    assert value(before, "migctl_connection_last_change_timestamp_seconds", part="table") == pytest.approx(
        of.connections.table.since.timestamp()
    )
    assert value(before, "migctl_breaker_last_change_timestamp_seconds", part="table") == pytest.approx(
        of.breakers.table.since.timestamp()
    )
    after = page(
        replace(of, fallback=replace(of.fallback, active=False), journal=replace(of.journal, full=None))
    )
    assert value(after, "migctl_fallback_active") == value(after, "migctl_journal_full") == 0
    assert value(after, "migctl_journal_stalled") == 1  # no room is one thing, what holds a write up another
    after = page(replace(of, journal=replace(of.journal, stalled=None)))
    assert (value(after, "migctl_journal_full"), value(after, "migctl_journal_stalled")) == (1, 0)


def test_a_state_is_one_of_all_that_there_are() -> None:
    found = page(status("everything"))
    for part, state in (("table", "half_open"), ("broadcast", "open")):
        each = {
            s: value(found, "migctl_breaker_state", part=part, state=s)
            for s in ("closed", "half_open", "open")
        }
        assert each == {s: float(s == state) for s in each}
    assert value(found, "migctl_connection_state", part="table", state="retrying") == 1
    assert value(found, "migctl_connection_state", part="gateway", state="connected") == 1
    assert ("migctl_connection_state", frozenset({("part", "gateway"), ("state", "paused")})) not in found[
        "migctl_connection_state"
    ].samples


def test_what_a_mode_does_not_have_has_no_sample() -> None:
    of = replace(
        status("everything"),
        relay=None, dead_letters=None, fallback=None, source=None, flags=None, witness=None, exposures=None,
        connections=ConnectionsStatus(), breakers=BreakersStatus(), transports=TransportsStatus(),
    )  # fmt: skip
    assert {name for name in page(of) if not name.startswith(("migctl_journal", "migctl_events"))} == {
        "migctl_build_info",
        "migctl_ingest_append_duration_seconds",
        "migctl_http_dropped_total",
        "migctl_http_limited_addresses",
        "migctl_http_refused_total",
        "migctl_http_watching_total",
        "migctl_log_lines_lost_total",
        "migctl_variants_kept",
        "migctl_variants_unkept_total",
    }


def test_sources_have_what_they_count() -> None:
    host = HostStatus(
        source="host", state="measuring", waiting_for=None, accepted=5, rejected=0, rate_wanted_per_s=1.0,
        deadlines_missed=0, by_event_type={}, not_measured={},
    )  # fmt: skip
    found = page(replace(status("everything"), source=host))
    assert value(found, "migctl_events_accepted_total", via="host") == 5
    assert value(found, "migctl_source_up", kind="host") == 1
    assert "migctl_source_buffer_bytes" not in found
    with pytest.raises(KeyError):
        value(found, "migctl_events_duplicate_total", via="host")


def test_answers_and_how_long_they_took() -> None:
    counts = Counts()
    counts.answered("POST", "/events", 201, 0.02)
    counts.answered("GET", "/ws", 101, 30.0)
    found = page(status("everything"), counts)
    assert value(found, "migctl_http_requests_total", method="GET", route="/ws", code="101") == 1
    name, labels = "migctl_http_request_duration_seconds", {"method": "POST", "route": "/events"}
    assert value(found, f"{name}_bucket", **labels, le="0.01") == 0
    assert value(found, f"{name}_bucket", **labels, le="0.025") == 1
    assert value(found, f"{name}_bucket", **labels, le="+Inf") == value(found, f"{name}_count", **labels) == 1
    assert value(found, f"{name}_sum", **labels) == 0.02
    assert not [labels for _, labels in found[name].samples if ("route", "/ws") in labels]


def test_commits_are_a_histogram() -> None:
    commits = Histogram()
    commits.observe(0.004)
    found = scrape(Metrics(lambda: status("everything"), Counts(), commits).page())
    assert value(found, "migctl_journal_commit_duration_seconds_count") == 1
    assert value(found, "process_resident_memory_bytes") > 1e6


def test_labels_that_hold_quotes_backslashes_and_line_ends_are_one_label() -> None:
    [family] = scrape(
        page_of([gauges("migctl_x", 'what\\is "this"\n?', [({"reason": 'a"b\\c\nd,e="f"'}, 1)])])
    ).values()
    assert family.samples == {("migctl_x", frozenset({("reason", 'a\\"b\\\\c\\nd,e=\\"f\\"')})): 1.0}


@given(st.floats(allow_nan=False))
def test_numbers_come_back_as_they_were(number: float) -> None:
    assert value(scrape(page_of([gauge("migctl_x", "x", number)])), "migctl_x") == number


def test_what_is_not_known_is_absent_rather_than_zero() -> None:
    assert page_of([gauge("migctl_x", "x", None), counters("migctl_y_total", "y", [])]) == b""
