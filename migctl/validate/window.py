"""Window: which events a report may expect of the captures. Pure.

`captures`: what was committed after the last of them had begun and not after the first of them was told to stop. `journal`: all
of it, and then a capture that began later has no evidence to give.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

WindowKind = Literal["captures", "journal"]


class Edge(msgspec.Struct, frozen=True):
    """Where one capture begins or ends.

    position: (epoch, seq). At the beginning it is exclusive, at the end inclusive. None: only the time is known.
    at: when, by the capture's clock. None: only the position is known.
    """

    transport: str
    epoch: str | None
    seq: int | None
    at: datetime | None


class Window(msgspec.Struct, frozen=True):
    """starts, ends: an edge for each capture that told it; a capture without a summary covers everything."""

    kind: WindowKind
    starts: tuple[Edge, ...] = ()
    ends: tuple[Edge, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether every event is inside."""
        return not self.starts and not self.ends

    def covers(self, epoch: str | None, seq: int | None, committed_at: datetime | None) -> bool:
        """Whether an event is inside. Unknown positions and times excuse nothing: they are inside."""
        for edge in self.starts:
            # A seq says it exactly within one epoch; which of two epochs was first, only the clock can say.
            if edge.epoch is not None and edge.epoch == epoch and seq is not None and edge.seq is not None:
                if seq <= edge.seq:
                    return False
            elif edge.at is not None and committed_at is not None and committed_at < edge.at:
                return False
        for edge in self.ends:
            if edge.at is not None:
                if committed_at is not None and committed_at > edge.at:
                    return False
            elif edge.epoch == epoch and seq is not None and edge.seq is not None and seq > edge.seq:
                return False
        return True


def began_late(start: Edge, epoch: str | None, seq: int | None, committed_at: datetime | None) -> bool:
    """Whether a capture began after the journal's first event, so that it can't have seen all of the journal."""
    if start.epoch is not None and start.epoch == epoch and start.seq is not None and seq is not None:
        return start.seq >= seq
    return start.at is not None and committed_at is not None and committed_at < start.at
