"""Problems: what is wrong with a file of settings, each with its place and the way out; all of them in one error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from migctl.errors import MigctlError, Usage
from migctl.redaction import redact

_MOST_CHARS = 1000


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong. source: the file, or the variable or option that set the value. line: None where the source has none."""

    source: str
    line: int | None
    key: str
    what: str
    do: str
    expected: str | None = None

    def __post_init__(self) -> None:
        # It may quote what stands in the file, whatever that is.
        if len(self.what) > _MOST_CHARS:
            object.__setattr__(self, "what", f"{redact(self.what)[: _MOST_CHARS - 1]}…")

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return redact(": ".join(part for part in (place, self.key, self.what) if part))

    @staticmethod
    def of(error: MigctlError) -> Problem:
        """Of an error that knows its place only in words."""
        return Problem("", None, "", error.what, error.do)

    def document(self) -> dict[str, object]:
        """For machines."""
        return {
            "file": self.source or None,
            "line": self.line,
            "key": self.key or None,
            "problem": redact(self.what),
            "expected": self.expected,
            "do": redact(self.do),
        }


class Faulty(Usage):
    """Something in a file can't be used: the first is the message, all are in `problems`, in the order of their lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda one: one.line or 0))
        first, *more = self.problems
        others = f"; `migctl config check` lists {len(more)} more" if more else ""
        super().__init__(str(first), do=f"{first.do}{others}")
