"""What can go wrong, and what the operator does about it.

Every error says what happened and the way out (`do`), and carries its exit code and whether a retry makes sense. A library's
exception is translated into one of these where the library is called, once.

Exit codes: `migctl.exits`.
"""

from __future__ import annotations

from typing import ClassVar

from migctl.exits import Exit
from migctl.redaction import redact


class MigctlError(Exception):
    """Base of all errors that an operator reads.

    what: one sentence, with the file, line, key, id or seq it speaks of.
    do: the way out, in the imperative.
    What is a secret is hidden in both: they go to logs, answers, frames and screens, and often hold a library's words.
    """

    exit_code: ClassVar[Exit] = Exit.OURS
    retry: ClassVar[bool] = False

    def __init__(self, what: str, *, do: str) -> None:
        self.what = redact(what)
        self.do = redact(do)
        super().__init__(self.what)

    def __str__(self) -> str:
        return f"{self.what}\n  {self.do}"


class Wanting(MigctlError):
    """Something was checked and is not as it should be."""

    exit_code = Exit.WANTING


class Usage(MigctlError):
    """The command line, the configuration or an input file can't be used as it is."""

    exit_code = Exit.UNUSABLE


class Transient(MigctlError):
    """A service can't be reached or is overloaded; the same call may go through later."""

    exit_code = Exit.UNREACHABLE
    retry = True


class Systemic(MigctlError):
    """The target refuses everything (permission, missing table, bad key): pause and alert, never blame one event."""

    exit_code = Exit.UNREACHABLE


class Poison(MigctlError):
    """The target refuses this one event for what it is; the others go on."""

    exit_code = Exit.WANTING


class Refused(MigctlError):
    """Refused for safety: wrong target, second or foreign writer, changed applied file, declined."""

    exit_code = Exit.REFUSED


class TokenRefused(Systemic):
    """A `serve` asks for a token, and takes none, or not this one."""

    exit_code = Exit.UNUSABLE


# By the exit code that came from another process.
KINDS: dict[int, type[MigctlError]] = {kind.exit_code: kind for kind in (Wanting, Usage, Transient, Refused)}


def first_error(error: BaseException) -> BaseException:
    """The one error to act on of a group, however deep: a bug before an error of ours, so that it is never hidden by one.

    A cancellation comes last; what is no group is returned as it is.
    """
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [first_error(inner) for inner in error.exceptions]
    return min(leaves, key=_rank)


def _rank(error: BaseException) -> int:
    if isinstance(error, MigctlError):
        return 1
    return 0 if isinstance(error, Exception) else 2
