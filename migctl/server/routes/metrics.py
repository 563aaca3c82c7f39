"""`/metrics`: the status of `serve` as Prometheus families. Nothing is counted here: what the status says, this says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import psutil

from migctl import __version__
from migctl.server.counts import Counts
from migctl.server.routes import connection_metrics
from migctl.server.routes.connection_metrics import RELAY_STATES, TRANSPORT_STATES
from migctl.telemetry.metrics import Family, Histogram, Sample, counter, gauge

if TYPE_CHECKING:
    from migctl.delivery.figures import BatchFigures


def families(
    status: Mapping[str, Any],
    counts: Counts,
    commits: Histogram | None = None,
    batches: BatchFigures | None = None,
) -> Iterator[Family]:
    """All there is to tell. status: the document of `/api/status`; parts that a mode has not are not told.

    commits: durations of the journal's commits. batches: of the relay.
    """
    yield gauge(
        "migctl_build_info",
        "Version and mode of this serve.",
        [Sample(1, {"version": __version__, "mode": str(status.get("mode", ""))})],
    )
    yield from _ingest(status, counts)
    yield from _journal(status.get("journal") or {}, counts, commits)
    relay = status.get("relay")
    if relay:
        yield from _relay(relay)
    if batches is not None:
        yield from connection_metrics.batches(batches)
    yield from connection_metrics.connections(status.get("connections") or {})
    yield from connection_metrics.breakers(status.get("breakers") or {})
    if status.get("dead_letters"):
        yield from _dead_letters(status["dead_letters"])
    transports = status.get("transports") or {}
    yield _states("migctl_transport_state", "1 for the state that a transport is in.", transports)
    if "websocket" in transports:
        yield from _gateway(transports["websocket"])
    if "realtime" in transports:
        yield from _broadcast(transports["realtime"])
    if status.get("fallback") is not None:
        yield from _fallback(status["fallback"])
    if status.get("source"):
        yield from _source(status["source"])
    yield from _http(counts)
    yield from _process()


def _ingest(status: Mapping[str, Any], counts: Counts) -> Iterator[Family]:
    source = status.get("source") or {}
    via = [
        ("http", {"accepted": counts.accepted, "duplicates": counts.duplicates, "rejected": counts.rejected})
    ]
    if source:
        via.append((str(source.get("kind", "source")), source))
    for name, key, help_ in (
        ("accepted", "accepted", "Events that are durable in the journal."),
        ("duplicate", "duplicates", "Events that were in the journal already."),
        ("rejected", "rejected", "Events that did not fit: refused over HTTP, kept aside from a source."),
    ):
        yield counter(
            f"migctl_events_{name}_total",
            help_,
            [Sample(each[key], {"via": label}) for label, each in via if key in each],
        )


def _journal(journal: Mapping[str, Any], counts: Counts, commits: Histogram | None) -> Iterator[Family]:
    yield _one("migctl_journal_head_seq", "The last durable seq of the epoch.", journal.get("head"))
    yield _one(
        "migctl_journal_tail_seq", "The first seq of the epoch that is still held.", journal.get("tail")
    )
    yield _one("migctl_journal_size_bytes", "Size of the journal's files.", journal.get("size_bytes"))
    if "epoch" in journal:
        yield gauge("migctl_journal_info", "The open epoch.", [Sample(1, {"epoch": str(journal["epoch"])})])
    yield _one("migctl_journal_full", "1 while no event is taken.", _flag(journal, "full"))
    hours = journal.get("full_in_hours")
    yield _one(
        "migctl_journal_full_in_seconds",
        "When it is full at the present rate; none where it never is.",
        None if hours is None else hours * 3600,
    )
    yield Family(
        "migctl_journal_commit_duration_seconds",
        "histogram",
        "Group commits, fsync included.",
        commits.samples() if commits is not None else [],
    )
    yield Family(
        "migctl_ingest_append_duration_seconds",
        "histogram",
        "From a posted request's events to their being durable, as its producer waits for it.",
        counts.append_seconds.samples(),
    )


def _relay(relay: Mapping[str, Any]) -> Iterator[Family]:
    yield _one(
        "migctl_table_head_seq", "Every seq up to here is a row or a tombstone.", relay.get("table_head")
    )
    yield _one(
        "migctl_relay_backlog_events", "Events in the journal and not yet in the table.", relay.get("backlog")
    )
    yield _one(
        "migctl_relay_oldest_wait_seconds", "How long the oldest of them waits.", relay.get("oldest_waits_s")
    )
    yield _count("migctl_relay_batches_total", "Batches written to the table.", relay.get("batches"))
    yield _count("migctl_relay_rows_total", "Rows written to the table.", relay.get("rows"))
    yield _count(
        "migctl_relay_repeats_total",
        "Rows that were there already, by a repeat of ours.",
        relay.get("repeats"),
    )
    yield _count(
        "migctl_relay_retries_total",
        "Requests to the table or heads that were tried again.",
        relay.get("retries"),
    )
    yield _counts("migctl_relay_cuts_total", "Batches by what ended them.", "cut", relay.get("cuts"))
    yield _counts(
        "migctl_tombstones_total", "Events that the table can't hold.", "reason", relay.get("tombstones")
    )
    yield _states(
        "migctl_relay_state", "1 for the state that the relay is in.", {"relay": relay}, RELAY_STATES, "part"
    )


def _dead_letters(letters: Mapping[str, Any]) -> Iterator[Family]:
    yield _counts(
        "migctl_dead_letters_total",
        "Events that the table refused, those of earlier runs with them.",
        "code",
        letters.get("by_code"),
    )
    yield _one(
        "migctl_dead_letters_waiting", "Those that nobody has retried or renewed.", letters.get("waiting")
    )


def _gateway(gateway: Mapping[str, Any]) -> Iterator[Family]:
    forms = {
        "v2": "subscribers_v2",
        "legacy": "subscribers_legacy",
        "piped": "subscribers_piped",
        "standby": "standby",
    }
    yield gauge(
        "migctl_gateway_subscribers",
        "Open sockets. Standby sockets get no events.",
        [Sample(gateway[key], {"form": form}) for form, key in forms.items() if key in gateway],
    )
    yield _one(
        "migctl_gateway_catching_up_subscribers",
        "Sockets that read what they missed.",
        gateway.get("catching_up"),
    )
    yield _one(
        "migctl_gateway_behind_events",
        "Events in the journal and not yet handed out.",
        gateway.get("behind_events"),
    )
    yield _one(
        "migctl_gateway_queue_bytes", "The longest queue of a subscriber.", gateway.get("max_queued_bytes")
    )
    yield _count(
        "migctl_gateway_upstream_failures_total",
        "Sockets that could not be passed through to the old service.",
        (gateway.get("upstream") or {}).get("failures"),
    )
    yield _count(
        "migctl_gateway_frames_total", "Event frames written to sockets.", gateway.get("frames_written")
    )
    yield _counts(
        "migctl_gateway_closed_total",
        "Sockets that ended, by close code.",
        "code",
        gateway.get("closed_by_code"),
    )


def _broadcast(realtime: Mapping[str, Any]) -> Iterator[Family]:
    yield _count("migctl_broadcast_hints_total", "Messages sent over Realtime.", realtime.get("hints"))
    yield _count("migctl_broadcast_events_total", "Events in them.", realtime.get("events"))
    yield _count(
        "migctl_broadcast_dropped_events_total",
        "Events sent over no channel: readers fetch them from the table.",
        realtime.get("events_dropped"),
    )
    yield _count("migctl_broadcast_heartbeats_total", "Heartbeats sent.", realtime.get("heartbeats"))
    yield _count(
        "migctl_broadcast_channels_total", "Channels that were opened.", realtime.get("channels_opened")
    )
    yield _count(
        "migctl_broadcast_http_total",
        "Messages that went by HTTP, while there was no channel.",
        realtime.get("sent_by_http"),
    )
    yield _count(
        "migctl_broadcast_rate_refusals_total",
        "Times in which Realtime refused for the rate.",
        realtime.get("rate_refusals"),
    )
    canary = realtime.get("canary") or {}
    yield _count("migctl_canary_sent_total", "Canaries sent.", canary.get("sent"))
    yield _count("migctl_canary_seen_total", "Canaries that a subscriber of ours saw.", canary.get("seen"))
    last_ms = canary.get("last_ms")
    yield _one(
        "migctl_canary_last_seconds",
        "How long the last one took that was seen.",
        None if last_ms is None else last_ms / 1000,
    )


def _fallback(fallback: Mapping[str, Any]) -> Iterator[Family]:
    yield _one(
        "migctl_fallback_active", "1 while subscribers are told to leave Realtime.", fallback.get("active")
    )
    yield _count("migctl_fallback_total", "How often they were told to.", fallback.get("times"))


def _source(source: Mapping[str, Any]) -> Iterator[Family]:
    label = {"kind": str(source.get("kind", "source"))}
    up = source.get("state") not in ("waiting", "connecting", "closed")
    yield gauge("migctl_source_up", "1 while the source brings events.", [Sample(up, label)])
    outages = source.get("outages")
    if outages:
        yield counter(
            "migctl_source_outages_total",
            "Times in which the tap did not listen, one that lasts included.",
            [Sample(outages["count"], label)],
        )
        yield counter(
            "migctl_source_outage_seconds_total",
            "Length of those that ended.",
            [Sample(outages["total_s"], label)],
        )
    if "buffered_bytes" in source:
        yield gauge(
            "migctl_source_buffer_bytes",
            "Frames that wait for the journal.",
            [Sample(source["buffered_bytes"], label)],
        )


def _http(counts: Counts) -> Iterator[Family]:
    yield counter(
        "migctl_http_requests_total",
        "Requests answered; a socket counts once it ends.",
        [
            Sample(count, {"method": method, "route": route, "code": str(code)})
            for (method, route, code), count in sorted(counts.by_answer.items())
        ],
    )
    yield _counts("migctl_http_refused_total", "Requests that the guard refused.", "reason", counts.refused)
    yield Family(
        "migctl_http_request_duration_seconds",
        "histogram",
        "Time to answer.",
        [
            sample
            for (method, route), histogram in sorted(counts.seconds.items())
            for sample in histogram.samples({"method": method, "route": route})
        ],
    )


def _process() -> Iterator[Family]:
    process = psutil.Process()
    with process.oneshot():
        times = process.cpu_times()
        yield counter("process_cpu_seconds_total", "CPU time.", [Sample(times.user + times.system)])
        yield gauge("process_resident_memory_bytes", "Resident memory.", [Sample(process.memory_info().rss)])
        yield gauge("process_open_fds", "Open file descriptors.", [Sample(process.num_fds())])
        yield gauge("process_start_time_seconds", "Start, Unix time.", [Sample(process.create_time())])


def _flag(part: Mapping[str, Any], key: str) -> float | None:
    return None if key not in part else float(part[key] is not None)


def _one(name: str, help_: str, value: float | None) -> Family:
    return gauge(name, help_, [] if value is None else [Sample(value)])


def _count(name: str, help_: str, value: float | None) -> Family:
    return counter(name, help_, [] if value is None else [Sample(value)])


def _counts(name: str, help_: str, label: str, values: Mapping[Any, int] | None) -> Family:
    return counter(
        name, help_, [Sample(count, {label: str(key)}) for key, count in sorted((values or {}).items())]
    )


def _states(
    name: str,
    help_: str,
    parts: Mapping[str, Mapping[str, Any]],
    states: Iterable[str] = TRANSPORT_STATES,
    label: str = "transport",
) -> Family:
    return gauge(
        name,
        help_,
        [
            Sample(part.get("state") == state, {label: key, "state": state})
            for key, part in parts.items()
            for state in states
        ],
    )
