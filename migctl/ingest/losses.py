"""Losses: what the sources of a state folder lost before the journal, from the files that say so, for reports."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from migctl.ingest import outages, rejections
from migctl.ingest.left_out import read as left_out
from migctl.status.losses import SourceLosses

# Any of them shows that a serve had this folder; they are kept over its end.
SIGNS = ("clients.json", "serve.json", outages.NOTE_FILE, outages.FILE, rejections.FILE)


def lost_before(folder: Path, since: datetime | None, until: datetime | None) -> SourceLosses | None:
    """Within this span, each end of which may be open; None where this is no state folder, so that nobody knows.

    What was put in after all is not lost; what a person dismissed is. An outage counts with the part of it that lies within.
    Raises Usage for a file that can't be read.
    """
    if not any((folder / name).exists() for name in SIGNS):
        return None

    def within(at: datetime) -> bool:
        return (since is None or at >= since) and (until is None or at <= until)

    kept = rejections.read(folder).found
    lost = [one for one in kept if one.settled is None or one.settled.outcome == "dismissed"]
    spans = list(_spans(folder, since, until))
    return SourceLosses(
        rejected=sum(within(one.of.at) for one in lost),
        unmapped_fields=sum(one.values for one in left_out(folder) if within(one.at)),
        source_outages=len(spans),
        source_outage_s=round(sum(spans), 3),
    )


def _spans(folder: Path, since: datetime | None, until: datetime | None) -> Iterable[float]:
    try:
        found = outages.read(folder)
    except FileNotFoundError:
        return
    for one in found:
        if one.ended is None:
            continue
        began, ended = max(one.began, since or one.began), min(one.ended, until or one.ended)
        if began <= ended:
            yield (ended - began).total_seconds()
