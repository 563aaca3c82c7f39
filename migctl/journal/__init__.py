"""The journal: a Protocol, and SQLite for one machine."""

from migctl.journal.protocol import (
    Appended,
    Conflict,
    DeadLetter,
    EpochInfo,
    Journal,
    JournalBroken,
    JournalUnavailable,
    Lost,
    Outcome,
)

__all__ = [
    "Appended",
    "Conflict",
    "DeadLetter",
    "EpochInfo",
    "Journal",
    "JournalBroken",
    "JournalUnavailable",
    "Lost",
    "Outcome",
]
