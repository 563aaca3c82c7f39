"""Losses: what a source lost before the journal, where no comparison of ours can see it, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from migctl.events.sizes import size
from migctl.status.sources import AnySource, FileStatus, MappedStatus, TapStatus


class SourceLosses(Struct, frozen=True, kw_only=True):
    """What sources lost before the journal in some span of time. unmapped_fields: members of messages that a mapping left out."""

    rejected: int = 0
    unmapped_fields: int = 0
    source_outages: int = 0
    source_outage_s: float = 0.0


def losses(of: AnySource | None) -> list[str]:
    """Each a phrase with its figure and where to look; empty where nothing was lost. None: there is no source."""
    return list(_losses(of)) if isinstance(of, MappedStatus) else []


def rejects(of: AnySource | None) -> bool:
    """Whether anything of this source was rejected and has not become an event since, or was left as half a line."""
    return isinstance(of, MappedStatus) and bool(of.rejected_waiting or of.rejected_lost or _half_a_line(of))


def _half_a_line(of: MappedStatus) -> int:
    """Its bytes, where nobody waits for the rest."""
    return of.unfinished_bytes if isinstance(of, FileStatus) and of.state == "finished" else 0


def _losses(of: MappedStatus) -> Iterator[str]:
    if of.rejected_waiting:
        yield f"{of.rejected_waiting:,} rejected: `migctl rejected list`"
    if of.rejected_lost:
        yield f"{of.rejected_lost:,} rejected and not kept: see the log"
    if of.unmapped_messages:
        yield f"{of.unmapped_messages:,} without some of their fields: {of.unmapped_file}"
    if of.without_time:
        yield f"{of.without_time:,} with the time of their arrival"
    if half := _half_a_line(of):
        yield f"its last line has no end, and was not read: {size(half)}"
    if isinstance(of, TapStatus) and of.outages.count:
        yield f"{of.outages.count:,} outages, {of.outages.total_s:.1f} s: {of.outages.file}"
