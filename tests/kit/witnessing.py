"""What a witness hears, made by hand: a journal, two transports, and the time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from migctl.events import format_time
from migctl.subscriber.core.release import Release, Via
from migctl.validate.witness.minute import Minute
from migctl.validate.witness.sums import TRANSPORTS, Counted
from migctl.validate.witness.windows import Limits, Windows

# A minute begins here; the witness began half a minute before.
BEGIN = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SERVE = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def event(
    seq: int,
    committed: float,
    *,
    epoch: str = "E1",
    received: float = 0.0,
    via: Via = "live",
    data: bytes = b'{"x":1.50}',
    event_type: str = "cpu",
) -> Release:
    """committed, received: seconds after BEGIN."""
    return Release(
        id=f"00000000-0000-7000-8000-{seq:012d}",
        epoch=epoch,
        seq=seq,
        event_type=event_type,
        timestamp=format_time(at(committed)),
        source="test",
        data=data,
        committed_at=format_time(at(committed)),
        via=via,
        received_at=at(received),
        received_mono_ns=0,
        transport="websocket",
    )


def counted(requests: int = 0, errors: int = 0, dead: int = 0, rejected: int = 0) -> Counted:
    return Counted(
        started_at=SERVE, requests=requests, answered_5xx=errors, dead_letters=dead, rejected=rejected
    )


@dataclass
class Heard:
    """A witness that sees both transports and the journal from before BEGIN on."""

    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.windows = Windows(at(-30), self.limits)
        self.windows.journal_begins("E1", 0, at(-20))
        for name in TRANSPORTS:
            self.windows.is_up(name, at(-20))
        self.windows.counted(at(0.5), counted())

    def both(self, seq: int, committed: float, after: float = 0.01) -> None:
        """An event that all goes well with."""
        self.windows.journal(event(seq, committed))
        for name in TRANSPORTS:
            self.windows.released(name, event(seq, committed, received=committed + after))

    def read(self, seconds: float = 62) -> None:
        """Journal and counters were asked until then."""
        self.windows.journal_read(at(seconds))
        self.windows.counted(at(seconds), counted(requests=100))

    def close(self) -> Minute:
        """The minute at BEGIN."""
        self.read()
        (minute,) = self.windows.tick(at(65))
        return minute
