"""`/metrics`: the status of `serve` as Prometheus families. Nothing is counted here: what the status says, this says.

Names are `migctl_`, then what is counted, then the base unit (seconds, bytes) and `_total` for what only grows. A figure that is
not known has no sample, and a family without samples is left out: absence is never a zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, get_args

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.registry import Collector

from migctl.server.counts import Counts
from migctl.server.routes.delivery_metrics import (
    of_batches,
    of_breakers,
    of_connections,
    of_dead_letters,
    of_fallback,
    of_relay,
    of_transports,
)
from migctl.server.routes.families import (
    Labels,
    counter,
    counters,
    counts,
    gauge,
    gauges,
    histogram,
    states,
)
from migctl.server.routes.flag_metrics import of_flags
from migctl.server.routes.witness_metrics import of_witness
from migctl.status import (
    AnySource,
    HttpStatus,
    IndicatorWord,
    JournalStatus,
    PublisherStatus,
    ServeParts,
    TapStatus,
)
from migctl.status.sources import MappedStatus
from migctl.telemetry.metrics import Histogram

if TYPE_CHECKING:
    from migctl.delivery.figures import BatchFigures

__all__ = ["CONTENT_TYPE", "Metrics", "families", "page_of"]


class Metrics:
    """What a scraper gets of one `serve`.

    status: asked at each scrape. counts: of the HTTP side. commits: durations of the journal's commits. batches: of the relay.
    """

    def __init__(
        self,
        status: Callable[[], ServeParts],
        counts: Counts,
        commits: Histogram | None = None,
        batches: BatchFigures | None = None,
    ) -> None:
        self._status = status
        self._counts = counts
        self._commits = commits
        self._batches = batches

    def page(self) -> bytes:
        """In text format 0.0.4."""
        return page_of(families(self._status(), self._counts, self._commits, self._batches))


def page_of(found: Iterable[Metric]) -> bytes:
    """Of a registry that is made for it: that of the process is for whoever else lives in it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Found(found))
    return generate_latest(registry)


class _Found(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return [family for family in self._families if family.samples]


def families(
    status: ServeParts, counts: Counts, commits: Histogram | None = None, batches: BatchFigures | None = None
) -> Iterator[Metric]:
    """All there are; those of parts that the mode does not have are left out, or have no sample."""
    yield gauges(
        "migctl_build_info",
        "Version and mode of this serve.",
        [({"version": status.version, "mode": status.mode}, 1)],
    )
    yield from _ingest(status.http, status.source)
    yield from _journal(status.journal)
    yield from _durations(counts, commits)
    if status.relay is not None:
        yield from of_relay(status.relay)
    if batches is not None:
        yield from of_batches(batches)
    yield from of_connections(status.connections)
    yield from of_breakers(status.breakers)
    if status.dead_letters is not None:
        yield from of_dead_letters(status.dead_letters)
    yield from of_transports(status.transports)
    yield states(
        "migctl_indicator_state",
        "1 for the word that a transport has at a glance.",
        "transport",
        [(name, of.state, get_args(IndicatorWord)) for name, of in status.indicators.items()],
    )
    if status.fallback is not None:
        yield from of_fallback(status.fallback)
    if status.source is not None:
        yield from _source(status.source)
    if status.flags is not None:
        yield from of_flags(status.flags)
    if status.witness is not None:
        yield from of_witness(status.witness)
    if status.exposures is not None:
        yield gauge("migctl_exposures_today", "Exposures logged this UTC day.", status.exposures.today)
        yield counter(
            "migctl_exposures_unwritten_total",
            "Exposures that could not be written.",
            status.exposures.unwritten,
        )
    if status.kept is not None:
        yield gauge(
            "migctl_variants_kept", "Variants that users of sticky experiments keep.", status.kept.kept
        )
        yield counter(
            "migctl_variants_unkept_total", "Variants for which there was no room.", status.kept.unkept
        )
    if status.log is not None:
        yield counter(
            "migctl_log_lines_lost_total",
            "Lines of the log that could not be written.",
            status.log.lost_lines,
        )
    yield from _http(status.http, counts)
    yield from _process()


def _ingest(http: HttpStatus, source: AnySource | None) -> Iterator[Metric]:
    over_http: Labels = {"via": "http"}
    accepted: list[tuple[Labels, float]] = [(over_http, http.accepted)]
    duplicates: list[tuple[Labels, float]] = [(over_http, http.duplicates)]
    rejected: list[tuple[Labels, float]] = [(over_http, http.rejected)]
    if source is not None:
        from_source = {"via": source.kind}
        accepted.append((from_source, source.accepted))
        rejected.append((from_source, source.rejected))
        if isinstance(source, MappedStatus):
            duplicates.append((from_source, source.duplicates))
    yield counters("migctl_events_accepted_total", "Events that are durable in the journal.", accepted)
    yield counters("migctl_events_duplicate_total", "Events that were in the journal already.", duplicates)
    yield counters(
        "migctl_events_rejected_total",
        "Events that did not fit: refused over HTTP, kept aside from a source.",
        rejected,
    )


def _journal(journal: JournalStatus) -> Iterator[Metric]:
    yield gauge("migctl_journal_head_seq", "The last durable seq of the epoch.", journal.head)
    yield gauge("migctl_journal_tail_seq", "The first seq of the epoch that is still held.", journal.tail)
    yield gauge("migctl_journal_size_bytes", "Size of the journal's files.", journal.size_bytes)
    yield gauges("migctl_journal_info", "The open epoch.", [({"epoch": journal.epoch}, 1)])
    yield gauge(
        "migctl_journal_full", "1 while no event is taken for want of room.", journal.full is not None
    )
    yield gauge(
        "migctl_journal_stalled",
        "1 while no event is taken as the last write could not get past something.",
        journal.stalled is not None,
    )
    hours = journal.full_in_hours
    yield gauge(
        "migctl_journal_full_in_seconds",
        "When it is full at the present rate; none where it never is.",
        None if hours is None else hours * 3600,
    )


def _durations(counts: Counts, commits: Histogram | None) -> Iterator[Metric]:
    yield histogram(
        "migctl_journal_commit_duration_seconds",
        "Group commits, fsync included.",
        [({}, commits)] if commits is not None else [],
    )
    yield histogram(
        "migctl_ingest_append_duration_seconds",
        "From a posted request's events to their being durable, as its producer waits for it.",
        [({}, counts.append_seconds)],
    )


def _source(source: AnySource) -> Iterator[Metric]:
    labels = {"kind": source.kind}
    up = source.state not in ("waiting", "connecting", "closed")
    yield gauges("migctl_source_up", "1 while the source brings events.", [(labels, up)])
    if isinstance(source, MappedStatus):
        yield gauges(
            "migctl_source_rejected_waiting",
            "Rejected lines, of earlier runs too, that nobody has retried or dismissed.",
            [(labels, source.rejected_waiting)],
        )
        yield counters(
            "migctl_source_rejected_lost_total",
            "Rejected lines that could not be kept, and are only counted.",
            [(labels, source.rejected_lost)],
        )
        yield counters(
            "migctl_source_without_time_total",
            "Events that have the time of their arrival.",
            [(labels, source.without_time)],
        )
        yield counters(
            "migctl_source_times_replaced_total",
            "Those of them that had a time which can't be read.",
            [(labels, source.times_replaced)],
        )
        yield counters(
            "migctl_source_unmapped_messages_total",
            "Events that lack something of their message, as the mapping says.",
            [(labels, source.unmapped_messages)],
        )
        yield counters(
            "migctl_source_unmapped_fields_total",
            "What they lack, by where it stood.",
            [({**labels, "path": path}, count) for path, count in sorted(source.unmapped.items())],
        )
    if isinstance(source, TapStatus):
        yield gauges(
            "migctl_source_outages_recent",
            "Those that ended within the last hour.",
            [(labels, source.outages.recent)],
        )
        yield counters(
            "migctl_source_outages_total",
            "Times in which the tap did not listen, one that lasts included.",
            [(labels, source.outages.count)],
        )
        yield counters(
            "migctl_source_outage_seconds_total",
            "Length of those that ended.",
            [(labels, source.outages.total_s)],
        )
        yield gauges(
            "migctl_source_behind_seconds",
            "For how long the oldest frame has waited that is not in the journal.",
            [(labels, source.behind_s)],
        )
        yield gauges(
            "migctl_source_unread_bytes",
            "What has come over the tap's connection and was not read yet.",
            [(labels, source.unread_bytes)],
        )
        yield counters(
            "migctl_source_rests_total",
            "How often the tap had work and rested, so that others had their turn.",
            [(labels, source.rests)],
        )
    if isinstance(source, TapStatus | PublisherStatus):
        yield gauges(
            "migctl_source_buffer_bytes",
            "Frames that wait for the journal.",
            [(labels, source.buffered_bytes)],
        )


def _http(http: HttpStatus, counted: Counts) -> Iterator[Metric]:
    yield counters(
        "migctl_http_requests_total",
        "Requests answered; a socket counts once it ends.",
        [
            ({"method": method, "route": route, "code": str(code)}, count)
            for (method, route, code), count in sorted(counted.by_answer.items())
        ],
    )
    yield counter(
        "migctl_http_watching_total",
        "Requests answered below 500 to who only watches; no part of the error rate.",
        http.watching,
    )
    yield counts("migctl_http_refused_total", "Requests that the guard refused.", "reason", http.refused)
    yield gauge(
        "migctl_http_limited_addresses",
        "Addresses from which too many wrong tokens came just now.",
        http.limited_addresses,
    )
    yield counts(
        "migctl_http_dropped_total",
        "Connections that were dropped, and bodies that were not waited for.",
        "reason",
        {
            **http.dropped_connections,
            "slow_body": http.slow_bodies,
            "crowded_body": http.crowded_bodies,
        },
    )
    yield histogram(
        "migctl_http_request_duration_seconds",
        "Time to answer.",
        [
            ({"method": method, "route": route}, of)
            for (method, route), of in sorted(counted.seconds.items(), key=lambda item: item[0])
        ],
    )


def _process() -> Iterator[Metric]:
    process = psutil.Process()
    with process.oneshot():
        times = process.cpu_times()
        yield counter("process_cpu_seconds_total", "CPU time.", times.user + times.system)
        yield gauge("process_resident_memory_bytes", "Resident memory.", process.memory_info().rss)
        yield gauge("process_open_fds", "Open file descriptors.", process.num_fds())
        yield gauge("process_start_time_seconds", "Start, Unix time.", process.create_time())
