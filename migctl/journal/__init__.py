"""The journal: Protocols by role, what is true of every journal, and SQLite for one machine. Only runtime picks one."""

from migctl.journal.documents import Inventory, Verification
from migctl.journal.errors import (
    Conflict,
    EpochMoved,
    JournalBroken,
    JournalStalled,
    JournalUnavailable,
    SecondWriter,
)
from migctl.journal.model import Appended, Bookmark, DeadLetter, EpochInfo, Lost, Mark, Outcome
from migctl.journal.protocol import DeadLetters, Journal, Log, Places, Room

__all__ = [
    "Appended",
    "Bookmark",
    "Conflict",
    "DeadLetter",
    "DeadLetters",
    "EpochInfo",
    "EpochMoved",
    "Inventory",
    "Journal",
    "JournalBroken",
    "JournalStalled",
    "JournalUnavailable",
    "Log",
    "Lost",
    "Mark",
    "Outcome",
    "Places",
    "Room",
    "SecondWriter",
    "Verification",
]
