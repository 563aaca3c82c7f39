"""Producers: who posts events, by whose token it is, and what became of them. Bounded by the tokens that there are."""

from __future__ import annotations

from datetime import datetime

from migctl.status.feeding import POSTED, FeedStatus
from migctl.telemetry.arrivals import Arrivals

# What our own Publisher says of itself as a client.
OURS = "migctl"


class Producer:
    """One that posts. owner: of the token; empty where none is asked for."""

    def __init__(self, owner: str, at: datetime) -> None:
        self.owner = owner
        self.arrivals = Arrivals(at)
        self.remote: str | None = None
        self.agent = ""
        self.accepted = 0
        self.duplicates = 0
        self.rejected = 0

    def status(self, at: datetime) -> FeedStatus:
        return FeedStatus(
            kind="publisher" if self.agent.partition("/")[0] == OURS else "post",
            name=self.owner,
            remote=self.remote,
            state=POSTED,
            since=self.arrivals.since,
            last_event_at=self.arrivals.last_at,
            per_s=self.arrivals.per_s(at),
            accepted=self.accepted,
            duplicates=self.duplicates,
            rejected=self.rejected,
        )


class Producers:
    """Of one `serve`, since its start."""

    def __init__(self) -> None:
        self._known: dict[str, Producer] = {}

    def posted(
        self,
        owner: str,
        at: datetime,
        *,
        remote: str | None,
        agent: str,
        accepted: int = 0,
        duplicates: int = 0,
        rejected: int = 0,
    ) -> None:
        """What became of a request. Requests that were not taken for want of room, or for a rate, are no events."""
        one = self._known.get(owner)
        if one is None:
            one = self._known[owner] = Producer(owner, at)
        one.remote, one.agent = remote, agent
        one.accepted += accepted
        one.duplicates += duplicates
        one.rejected += rejected
        one.arrivals.came(accepted, at)

    def status(self, at: datetime) -> list[FeedStatus]:
        return [one.status(at) for one in self._known.values()]
