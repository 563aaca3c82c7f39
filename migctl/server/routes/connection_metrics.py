"""Metrics of delivery: batches, and how each part is reached. Part of `/metrics`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from migctl.events import parse_time
from migctl.resilience import BREAKER_STATES
from migctl.telemetry.metrics import Family, Sample, counter, gauge

if TYPE_CHECKING:
    from migctl.delivery.figures import BatchFigures

TRANSPORT_STATES = ("connecting", "connected", "degraded", "closed")
RELAY_STATES = ("running", "connecting", "retrying", "paused")


def batches(figures: BatchFigures) -> Iterator[Family]:
    for name, help_, histograms in (
        ("migctl_batch_events", "Events of a class in a batch that has any.", figures.events),
        (
            "migctl_batch_wait_seconds",
            "From the commit of the oldest event of a class in a batch to its being sent.",
            figures.wait_s,
        ),
    ):
        samples = [
            sample for each, histogram in histograms.items() for sample in histogram.samples({"class": each})
        ]
        yield Family(name, "histogram", help_, samples)
    yield counter(
        "migctl_batch_cuts_total",
        "Batches with events of a class, by what ended them.",
        [Sample(count, {"class": each, "cut": cut}) for (each, cut), count in sorted(figures.cuts.items())],
    )


def connections(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[Family]:
    """Table and heads have the relay's states, broadcast and gateway those of a transport."""
    yield gauge(
        "migctl_connection_state",
        "1 for the state that a part is in.",
        [
            Sample(of.get("state") == state, {"part": part, "state": state})
            for part, of in parts.items()
            for state in (RELAY_STATES if "attempts" in of else TRANSPORT_STATES)
        ],
    )
    yield gauge(
        "migctl_connection_last_change_timestamp_seconds",
        "When it came into that state, Unix time.",
        _moments(parts),
    )
    for name, key, help_ in (
        ("migctl_attempts_total", "attempts", "Requests that were begun, those tried again included."),
        ("migctl_retries_total", "retries", "Requests that failed and were tried again."),
    ):
        yield counter(
            name, help_, [Sample(of[key], {"part": part}) for part, of in parts.items() if key in of]
        )
    yield gauge(
        "migctl_request_timeout_seconds",
        "How long the last request could take.",
        [
            Sample(of["request_timeout_s"], {"part": part})
            for part, of in parts.items()
            if "request_timeout_s" in of
        ],
    )


def breakers(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[Family]:
    yield gauge(
        "migctl_breaker_state",
        "1 for the state that a breaker is in.",
        [
            Sample(of.get("state") == state, {"part": part, "state": state})
            for part, of in parts.items()
            for state in BREAKER_STATES
        ],
    )
    yield counter(
        "migctl_breaker_opened_total",
        "Times that it opened. A trial that fails is no new time.",
        [Sample(of["opened"], {"part": part}) for part, of in parts.items() if "opened" in of],
    )
    yield gauge(
        "migctl_breaker_last_change_timestamp_seconds",
        "Its last change of state, Unix time; none before the first.",
        _moments(parts),
    )


def _moments(parts: Mapping[str, Mapping[str, Any]]) -> list[Sample]:
    return [
        Sample(parse_time(of["since"]).timestamp(), {"part": part})
        for part, of in parts.items()
        if of.get("since")
    ]
