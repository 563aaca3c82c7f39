"""Losses: what a source lost before the journal, where no comparison of ours can see it, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from migctl.status.sources import AnySource, MappedStatus, TapStatus


def losses(of: AnySource | None) -> list[str]:
    """Each a phrase with its figure and where to look; empty where nothing was lost. None: there is no source."""
    return list(_losses(of)) if isinstance(of, MappedStatus) else []


def rejects(of: AnySource | None) -> bool:
    """Whether anything of this source was rejected and has not become an event since."""
    return isinstance(of, MappedStatus) and bool(of.rejected_waiting or of.rejected_lost)


def _losses(of: MappedStatus) -> Iterator[str]:
    if of.rejected_waiting:
        yield f"{of.rejected_waiting:,} rejected: `migctl rejected list`"
    if of.rejected_lost:
        yield f"{of.rejected_lost:,} rejected and not kept: see the log"
    if of.without_time:
        yield f"{of.without_time:,} with the time of their arrival"
    if isinstance(of, TapStatus) and of.outages.count:
        yield f"{of.outages.count:,} outages, {of.outages.total_s:.1f} s: {of.outages.file}"
