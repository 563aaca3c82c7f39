"""What a journal can't do, and whether that passes by itself."""

from __future__ import annotations

from collections.abc import Sequence

from migctl.errors import MigctlError, Refused, Transient
from migctl.exits import Exit


class Conflict(MigctlError):
    """The same id came with another body. Nothing of the request was stored.

    conflicts: (index in the request, event id), all of them.
    """

    exit_code = Exit.WANTING

    def __init__(self, conflicts: Sequence[tuple[int, str]]) -> None:
        first = conflicts[0]
        super().__init__(
            f"event {first[1]} (item {first[0]}) is in the journal already, with another body",
            do="give the changed event an id of its own; nothing of this request was stored",
        )
        self.conflicts = tuple(conflicts)


class JournalUnavailable(Transient):
    """The journal can't take events now: full, locked by another process, closed, or broken."""


class JournalStalled(JournalUnavailable):
    """It did not get through to its store: locked by another process, or no room on the disk. Nothing of it is stored.

    This mends from outside, and the same call may go through a moment later.
    """


class JournalBroken(JournalUnavailable):
    """It takes nothing any more until it is opened anew: its disk failed, or a part of it ended on an error of ours."""

    exit_code = Exit.OURS
    retry = False


class EpochMoved(Transient):
    """The epoch that was to be ended is not the open one: somebody rotated it meanwhile. Nothing was changed."""

    def __init__(self, expected: str, opened: str) -> None:
        super().__init__(
            f"epoch {expected} was to be ended, and {opened} is open: it was rotated meanwhile",
            do="compare with the table again, and decide anew",
        )


class SecondWriter(Refused):
    """Another process, or another part of this one, has the journal open for writing, and this kind of journal has one writer."""
