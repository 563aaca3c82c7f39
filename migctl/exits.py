"""Exit codes: the one table. Whoever needs such a number takes it from here."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """word: for lists. meaning: for people who meet the number."""

    word: str
    meaning: str

    def __new__(cls, code: int, word: str, meaning: str) -> Exit:
        one = int.__new__(cls, code)
        one._value_ = code
        one.word, one.meaning = word, meaning
        return one

    DONE = 0, "done", "done"
    WANTING = 1, "wanting", "checked and found wanting: a verdict other than `pass`, a schema that differs"
    UNUSABLE = 2, "usage", "usage, configuration, unreadable input, a token that `serve` does not take"
    UNREACHABLE = (
        3,
        "unreachable",
        "a needed service can't be reached, a port is taken, or there is no room to write",
    )
    REFUSED = (
        4,
        "refused",
        "refused for safety: a second writer, a changed applied file, a table that can't be adopted, files that others can "
        "write to, a target that was not confirmed",
    )
    OURS = 70, "our error", "an error of ours; the trace is in `.migctl/error.log`"
    INTERRUPTED = (
        130,
        "interrupted",
        "interrupted, by Ctrl-C; `serve`, `capture` and `drill proxy` end by it as they should",
    )
    UNREAD = 141, "unread", "whoever reads the output has had enough, as `head` has"


# Of every command.
ALWAYS = (Exit.DONE, Exit.UNUSABLE, Exit.OURS, Exit.INTERRUPTED, Exit.UNREAD)
