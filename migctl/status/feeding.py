"""Who feeds a `serve`: its source, and whoever posts to it. Pure.

A source is away while a tap does not listen. Who posts is there when it posts, so nothing says that it is away but how long ago
its last event was.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from msgspec import Struct

from migctl.events.times import Moment
from migctl.status.sources import AnySource, FileStatus, MappedStatus, TapStatus

FeedState = Literal["feeding", "waiting", "away", "ended"]
FeedKind = Literal["file", "stdin", "tap", "host", "publisher", "post"]
POSTED: FeedState = "feeding"


class FeedStatus(Struct, frozen=True, kw_only=True):
    """One that feeds. kind: post is any client of `POST /events`; publisher is migctl's, posting or in the same process.

    name: of the source, or of who has the token; empty where none is asked for. remote: the address that it posted from last.
    since: its first event, or the start of the source. away_since: None while it is connected. reason: why it is away, or waits.
    per_s: events taken a second over the last minute. outages: times without a socket; None for what has none. unread_bytes: of a
    file, what is not read yet; of a tap, what is not in the journal yet.
    """

    kind: FeedKind
    name: str
    remote: str | None = None
    state: FeedState
    reason: str | None = None
    since: Moment | None
    last_event_at: Moment | None
    away_since: Moment | None = None
    per_s: float
    accepted: int
    duplicates: int
    rejected: int
    outages: int | None = None
    unread_bytes: int | None = None


class SourcesStatus(Struct, frozen=True, kw_only=True):
    """The document of `/admin/sources`: the source of this serve first, and then who posts, the latest first."""

    schema: Literal["migctl.sources/1"] = "migctl.sources/1"
    at: Moment
    sources: list[FeedStatus]


def sources_of(
    source: AnySource | None, done: bool, posted: Iterable[FeedStatus], at: datetime
) -> SourcesStatus:
    """source: None where events come over HTTP only. done: it has ended."""
    mine = [feed_of(source, done)] if source is not None else []
    latest = sorted(
        posted, key=lambda one: one.last_event_at or datetime.min.replace(tzinfo=at.tzinfo), reverse=True
    )
    return SourcesStatus(at=at, sources=[*mine, *latest])


def feed_of(source: AnySource, done: bool) -> FeedStatus:
    """Of the source of a serve."""
    tap = source if isinstance(source, TapStatus) else None
    lasting = tap.outages.lasting if tap is not None else None
    reason = source.waiting_for
    state: FeedState = "waiting" if reason is not None else "feeding"
    if lasting is not None:
        state, reason = "away", lasting.reason
    if done or source.state in ("finished", "closed", "stopped"):
        state, reason = "ended", None
    return FeedStatus(
        kind=_kind(source),
        name=source.source,
        state=state,
        reason=reason,
        since=source.since,
        last_event_at=source.last_event_at,
        away_since=lasting.began if lasting is not None and state == "away" else None,
        per_s=source.per_s or 0.0,
        accepted=source.accepted,
        duplicates=source.duplicates if isinstance(source, MappedStatus) else 0,
        rejected=source.rejected,
        outages=tap.outages.count if tap is not None else None,
        unread_bytes=_unread(source),
    )


def _kind(source: AnySource) -> FeedKind:
    kinds: dict[str, FeedKind] = {
        "file": "file", "stdin": "stdin", "tap": "tap", "host": "host", "publisher": "publisher",
    }  # fmt: skip
    return kinds[source.kind]


def _unread(source: AnySource) -> int | None:
    if isinstance(source, TapStatus):
        return source.buffered_bytes + source.unread_bytes
    if isinstance(source, FileStatus):
        return None if source.size_bytes is None else max(0, source.size_bytes - source.offset_bytes)
    return None
