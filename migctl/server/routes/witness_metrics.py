"""Metrics of the witness: the last window that closed, and whether it is evidence. Part of `/metrics`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import Metric

from migctl.server.routes.families import Labels, counter, counters, gauge, gauges
from migctl.status import ReleasedStatus, WindowStatus, WitnessStatus


def of_witness(witness: WitnessStatus) -> Iterator[Metric]:
    yield gauge(
        "migctl_witness_seen_timestamp_seconds",
        "When the witness last said something.",
        witness.at.timestamp(),
    )
    yield counter("migctl_witness_windows_total", "Windows that it closed since it started.", witness.windows)
    yield gauge(
        "migctl_witness_kept_windows", "Windows that are not in the evidence table yet.", witness.kept
    )
    yield counter("migctl_witness_dropped_windows_total", "Kept no longer: too many waited.", witness.dropped)
    yield gauge("migctl_witness_alert", "1 while an alert is out.", float(witness.alert is not None))
    yield from _live(witness)
    if witness.window is not None:
        yield from _window(witness.window)


def _live(witness: WitnessStatus) -> Iterator[Metric]:
    up: list[tuple[Labels, float]] = []
    events: list[tuple[Labels, float]] = []
    rates: list[tuple[Labels, float]] = []
    latency: list[tuple[Labels, float]] = []
    for transport, of in witness.live.items():
        up.append(({"transport": transport}, float(of.up)))
        events += [
            ({"transport": transport, "class": name}, count) for name, count in of.events_by_class.items()
        ]
        rates += [({"transport": transport, "class": name}, rate) for name, rate in of.rate_by_class.items()]
        for quantile, ms in (
            ("0.5", of.latency.p50_ms),
            ("0.95", of.latency.p95_ms),
            ("0.99", of.latency.p99_ms),
        ):
            if ms is not None:
                latency.append(({"transport": transport, "quantile": quantile}, ms / 1000))
    yield gauges("migctl_witness_up", "1 while it is attached to the transport.", up)
    yield counters("migctl_witness_released_events_total", "Events that came by it.", events)
    yield gauges("migctl_witness_rate_events_per_second", "Of the last seconds.", rates)
    yield gauges("migctl_witness_latency_seconds", "Of what came live in the last minute.", latency)


def _window(window: WindowStatus) -> Iterator[Metric]:
    yield gauge(
        "migctl_window_start_timestamp_seconds", "When the last window began.", window.started_at.timestamp()
    )
    yield gauge("migctl_window_evidence", "1 where it was seen whole.", float(window.verdict == "pass"))
    yield gauge("migctl_window_good", "1 where nothing is wrong with it.", float(window.fault is None))
    yield gauge("migctl_window_expected_events", "Events that were committed in it.", window.expected)
    yield gauge("migctl_window_matched_events", "Of them, equal on every transport.", window.matched)
    yield gauge("migctl_window_mismatched_events", "Of them, unequal on some.", window.mismatched)
    yield gauge("migctl_window_lost_events", "Of them, received on none.", window.lost)
    yield gauge("migctl_window_rejected_events", "Refused before the journal.", window.rejected)
    yield gauge("migctl_window_match_percent", "100 x matched / expected.", window.match_percent)
    yield gauge("migctl_window_availability_percent", "To its subscribers.", window.availability_percent)
    yield gauge("migctl_window_error_rate_percent", "Of requests and events.", window.error_rate_percent)
    yield _sides("migctl_window_received_events", "Received.", window, lambda of: of.received)
    yield _sides("migctl_window_missing_events", "Not received.", window, lambda of: of.missing)
    yield _sides("migctl_window_duplicate_events", "Received again.", window, lambda of: of.duplicates)
    yield _sides("migctl_window_out_of_order_events", "Received late.", window, lambda of: of.out_of_order)
    yield _sides(
        "migctl_window_latency_p99_seconds", "Of live ones.", window, lambda of: _s(of.latency_p99_ms)
    )
    yield _sides("migctl_window_delay_p99_seconds", "Of all.", window, lambda of: _s(of.delay_p99_ms))


def _sides(
    name: str, help_: str, window: WindowStatus, value: Callable[[ReleasedStatus], float | None]
) -> Metric:
    found: list[tuple[Labels, float]] = []
    for transport, of in window.transports.items():
        measured = value(of)
        if measured is not None:
            found.append(({"transport": transport}, measured))
    return gauges(name, help_, found)


def _s(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000
