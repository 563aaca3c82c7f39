"""Connection: whether a dependency is reached, as an operator sees it, and when that is worth a log line. Pure: given the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ConnectionState = Literal["running", "connecting", "retrying", "paused"]
CONNECTION_STATES: tuple[ConnectionState, ...] = (
    "running",
    "connecting",
    "retrying",
    "paused",
)  # from good to bad


@dataclass(frozen=True, slots=True)
class ConnectionChange:
    """To be logged, once. failed_for_s: when it ends a time of failures, how long that was; else None."""

    before: ConnectionState
    after: ConnectionState
    failed_for_s: float | None = None


class Connection:
    """Times are monotonic seconds. connecting: nothing is known yet; retrying: a retry may mend it; paused: only an operator can.

    | state      | `succeeded`               | `failed("retrying")`      | `failed("paused")`      |
    |------------|---------------------------|---------------------------|-------------------------|
    | connecting | running, nothing to log   | retrying, logged          | paused, logged          |
    | running    | running, nothing to log   | retrying, logged          | paused, logged          |
    | retrying   | running, logged with how long it failed | retrying, nothing to log | paused, logged |
    | paused     | running, logged with how long it failed | retrying, logged         | paused, nothing to log |

    The same trouble with other seqs is the same trouble: a batch that waits grows, and the text of its error with it. So reason and
    way out are those of the last failure, but only a change of state is logged. A time of failures begins with the first one after
    `running` or `connecting`.
    """

    def __init__(self, now: float) -> None:
        self.state: ConnectionState = "connecting"
        self.since = now  # of the last change
        self.reason: str | None = None
        self.do: str | None = None
        self._failing_since: float | None = None

    def succeeded(self, now: float) -> ConnectionChange | None:
        """It was reached."""
        failing_since, self._failing_since = self._failing_since, None
        self.reason = self.do = None
        before = self._become("running", now)
        return None if failing_since is None else ConnectionChange(before, "running", now - failing_since)

    def failed(
        self, now: float, state: Literal["retrying", "paused"], reason: str, do: str
    ) -> ConnectionChange | None:
        """It was not, or it refuses."""
        if self._failing_since is None:
            self._failing_since = now
        self.reason, self.do = reason, do
        before = self._become(state, now)
        return None if before == state else ConnectionChange(before, state)

    def _become(self, state: ConnectionState, now: float) -> ConnectionState:
        """Take this state; returns the one before."""
        before, self.state = self.state, state
        if before != state:
            self.since = now
        return before
