"""Metrics of delivery: relay and batches, how each part is reached, the two transports, fallback. Part of `/metrics`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, get_args

from prometheus_client.core import Metric

from migctl.resilience import BREAKER_STATES, CONNECTION_STATES
from migctl.server.routes.families import counter, counters, counts, gauge, gauges, histogram, states
from migctl.status import (
    BreakersStatus,
    BroadcastStatus,
    ConnectionsStatus,
    DeadLettersStatus,
    FallbackStatus,
    GatewayStatus,
    MovesStatus,
    RelayStatus,
    RequestsStatus,
    TransportsStatus,
    TransportState,
)

if TYPE_CHECKING:
    from migctl.delivery.figures import BatchFigures

TRANSPORT_STATES: tuple[str, ...] = get_args(TransportState)


def of_relay(relay: RelayStatus) -> Iterator[Metric]:
    yield gauge("migctl_table_head_seq", "Every seq up to here is a row or a tombstone.", relay.table_head)
    yield gauge(
        "migctl_relay_backlog_events", "Events in the journal and not yet in the table.", relay.backlog
    )
    yield gauge(
        "migctl_relay_oldest_wait_seconds", "How long the oldest of them waits.", relay.oldest_waits_s
    )
    yield counter("migctl_relay_batches_total", "Batches written to the table.", relay.batches)
    yield counter("migctl_relay_rows_total", "Rows written to the table.", relay.rows)
    yield counter(
        "migctl_relay_repeats_total", "Rows that were there already, by a repeat of ours.", relay.repeats
    )
    yield counter(
        "migctl_relay_retries_total", "Requests to the table or heads that were tried again.", relay.retries
    )
    yield counts("migctl_relay_cuts_total", "Batches by what ended them.", "cut", relay.cuts)
    yield counts("migctl_tombstones_total", "Events that the table can't hold.", "reason", relay.tombstones)
    back = relay.set_back
    yield counter(
        "migctl_target_set_backs_total",
        "Times that the target was found to have gone back in time.",
        back.times if back is not None else 0,
    )
    yield gauge(
        "migctl_target_set_back_lost_events",
        "Of what it lost the last time, events that the journal had no more.",
        back.lost if back is not None else None,
    )
    yield gauge(
        "migctl_relay_throttled", "1 while an operator holds its writing.", relay.throttled is not None
    )
    yield states(
        "migctl_relay_state",
        "1 for the state that the relay is in.",
        "part",
        [("relay", relay.state, CONNECTION_STATES)],
    )


def of_batches(figures: BatchFigures) -> Iterator[Metric]:
    yield histogram(
        "migctl_batch_events",
        "Events of a class in a batch that has any.",
        [({"class": each}, of) for each, of in figures.events.items()],
    )
    yield histogram(
        "migctl_batch_wait_seconds",
        "From the commit of the oldest event of a class in a batch to its being sent.",
        [({"class": each}, of) for each, of in figures.wait_s.items()],
    )
    yield counters(
        "migctl_batch_cuts_total",
        "Batches with events of a class, by what ended them.",
        [({"class": each, "cut": cut}, count) for (each, cut), count in sorted(figures.cuts.items())],
    )


def of_connections(connections: ConnectionsStatus) -> Iterator[Metric]:
    """Table and heads have the relay's states, broadcast and gateway those of a transport."""
    parts = connections.parts()
    yield states(
        "migctl_connection_state",
        "1 for the state that a part is in.",
        "part",
        [
            (part, of.state, CONNECTION_STATES if isinstance(of, RequestsStatus) else TRANSPORT_STATES)
            for part, of in parts
        ],
    )
    yield gauges(
        "migctl_connection_last_change_timestamp_seconds",
        "When it came into that state, Unix time.",
        [({"part": part}, of.since.timestamp()) for part, of in parts],
    )
    asked = [({"part": part}, of) for part, of in parts if isinstance(of, RequestsStatus)]
    yield counters(
        "migctl_attempts_total",
        "Requests that were begun, those tried again included.",
        [(labels, of.attempts) for labels, of in asked],
    )
    yield counters(
        "migctl_retries_total",
        "Requests that failed and were tried again.",
        [(labels, of.retries) for labels, of in asked],
    )
    yield gauges(
        "migctl_request_timeout_seconds",
        "How long the last request could take.",
        [(labels, of.request_timeout_s) for labels, of in asked],
    )


def of_breakers(breakers: BreakersStatus) -> Iterator[Metric]:
    parts = breakers.parts()
    yield states(
        "migctl_breaker_state",
        "1 for the state that a breaker is in.",
        "part",
        [(part, of.state, BREAKER_STATES) for part, of in parts],
    )
    yield counters(
        "migctl_breaker_opened_total",
        "Times that it opened. A trial that fails is no new time.",
        [({"part": part}, of.opened) for part, of in parts],
    )
    yield gauges(
        "migctl_breaker_last_change_timestamp_seconds",
        "Its last change of state, Unix time; none before the first.",
        [({"part": part}, of.since.timestamp()) for part, of in parts if of.since is not None],
    )


def of_dead_letters(dead_letters: DeadLettersStatus) -> Iterator[Metric]:
    yield counts(
        "migctl_dead_letters_total",
        "Events that the table refused, those of earlier runs with them.",
        "code",
        dead_letters.by_code,
    )
    yield gauge(
        "migctl_dead_letters_waiting", "Those that nobody has retried or renewed.", dead_letters.waiting
    )


def of_transports(transports: TransportsStatus) -> Iterator[Metric]:
    yield states(
        "migctl_transport_state",
        "1 for the state that a transport is in.",
        "transport",
        [(name, of.state, TRANSPORT_STATES) for name, of in transports.named()],
    )
    if transports.websocket is not None:
        yield from _gateway(transports.websocket)
    if transports.realtime is not None:
        yield from _broadcast(transports.realtime)


def _gateway(gateway: GatewayStatus) -> Iterator[Metric]:
    yield gauges(
        "migctl_gateway_subscribers",
        "Open sockets. Standby sockets get no events.",
        [
            ({"form": "v2"}, gateway.subscribers_v2),
            ({"form": "legacy"}, gateway.subscribers_legacy),
            ({"form": "piped"}, gateway.subscribers_piped),
            ({"form": "standby"}, gateway.standby),
        ],
    )
    yield gauge(
        "migctl_gateway_catching_up_subscribers", "Sockets that read what they missed.", gateway.catching_up
    )
    yield gauge(
        "migctl_gateway_behind_events",
        "Events in the journal and not yet handed out.",
        gateway.behind_events,
    )
    yield gauge("migctl_gateway_queue_bytes", "The longest queue of a subscriber.", gateway.max_queued_bytes)
    old = gateway.upstream
    yield counter(
        "migctl_gateway_upstream_failures_total",
        "Sockets that could not be passed through to the old service.",
        old.failures if old is not None else None,
    )
    yield gauges(
        "migctl_gateway_piped_subscribers",
        "Sockets that are passed through to the old service, by who feeds them.",
        [({"by": by}, float(count)) for by, count in old.fed_by.items()] if old is not None else [],
    )
    yield gauge(
        "migctl_gateway_unsent_events",
        "Events of the journal that these sockets lack, since the old service's last one.",
        old.unsent if old is not None else None,
    )
    yield counter(
        "migctl_gateway_doubles_total",
        "Events that were not sent to such a socket, since the other of the two had sent the same.",
        old.doubles if old is not None else None,
    )
    yield counter("migctl_gateway_frames_total", "Event frames written to sockets.", gateway.frames_written)
    if gateway.moves is not None:
        yield from _moves(gateway.moves)
    yield counts(
        "migctl_gateway_closed_total", "Sockets that ended, by close code.", "code", gateway.closed_by_code
    )


def _moves(moves: MovesStatus) -> Iterator[Metric]:
    yield gauges(
        "migctl_gateway_assigned_subscribers",
        "Sockets that name their user, by the transport that the flag gives it.",
        [({"transport": name}, number) for name, number in moves.assigned.items()],
    )
    yield gauges(
        "migctl_gateway_actual_subscribers",
        "The same sockets, by the transport that brings their events.",
        [({"transport": name}, number) for name, number in moves.actual.items()],
    )
    yield gauge(
        "migctl_gateway_moving_subscribers",
        "Of those, who are not where the flag says, and not for a failure of Realtime.",
        moves.moving,
    )
    yield gauge(
        "migctl_gateway_waiting_subscribers",
        "Of those, who wait for their turn to be told to go to Realtime.",
        moves.waiting,
    )
    yield counts("migctl_gateway_told_total", "Words to go, by where to.", "transport", moves.notified)


def _broadcast(broadcast: BroadcastStatus) -> Iterator[Metric]:
    yield counter("migctl_broadcast_hints_total", "Messages sent over Realtime.", broadcast.hints)
    yield counter("migctl_broadcast_events_total", "Events in them.", broadcast.events)
    yield counter(
        "migctl_broadcast_dropped_events_total",
        "Events whose hints the table superseded: readers fetch them there, none is lost.",
        broadcast.events_dropped,
    )
    yield counter("migctl_broadcast_heartbeats_total", "Heartbeats sent.", broadcast.heartbeats)
    yield counter("migctl_broadcast_channels_total", "Channels that were opened.", broadcast.channels_opened)
    yield counter(
        "migctl_broadcast_http_total",
        "Messages that went by HTTP, while there was no channel.",
        broadcast.sent_by_http,
    )
    yield counter(
        "migctl_broadcast_rate_refusals_total",
        "Times in which Realtime refused for the rate.",
        broadcast.rate_refusals,
    )
    canary = broadcast.canary
    yield counter("migctl_canary_sent_total", "Canaries sent.", canary.sent)
    yield counter("migctl_canary_seen_total", "Canaries that a subscriber of ours saw.", canary.observed)
    yield gauge(
        "migctl_canary_last_seconds",
        "How long the last one took that was seen.",
        None if canary.last_ms is None else canary.last_ms / 1000,
    )


def of_fallback(fallback: FallbackStatus) -> Iterator[Metric]:
    yield gauge("migctl_fallback_active", "1 while subscribers are told to leave Realtime.", fallback.active)
    yield counter("migctl_fallback_total", "How often they were told to.", fallback.times)
