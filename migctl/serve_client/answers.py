"""Answers of a `serve`: read whole, and its refusals understood. A stranger's answer may be anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from migctl.errors import KINDS, MigctlError
from migctl.events.jsontext import typed
from migctl.redaction import beginning

# A Retry-After above this is taken for a mistake.
LONGEST_WAIT_S = 60.0
_MOST_CHARS = 200

T = TypeVar("T")


class Wrong(msgspec.Struct, frozen=True):
    """What is wrong with a request, or with one item of it: index, id and field are None where it is all of it."""

    index: int | None = None
    id: str | None = None
    field: str | None = None
    code: str = ""
    reason: str = ""


class _Refusal(msgspec.Struct):
    errors: list[Wrong]


class Failure(msgspec.Struct):
    """An error with its way out, and the exit code of the command that asked."""

    what: str
    do: str
    exit_code: int


_refusal = msgspec.json.Decoder(_Refusal)
_failure = msgspec.json.Decoder(Failure)


@dataclass(frozen=True, slots=True)
class Answer:
    """where: what was asked, for messages. headers: by names in lower case. whole: False where it was too large to be read."""

    where: str
    status: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    whole: bool = True

    def decode(self, shape: type[T]) -> T:
        """The body as this shape. Raises ValueError that says what is wrong with it."""
        if not self.whole:
            raise ValueError(f"it is above {len(self.content)} bytes")
        return typed(msgspec.json.Decoder(shape), self.content)

    def wrong(self) -> list[Wrong]:
        """What a refusal names; empty where it is none of ours."""
        try:
            return typed(_refusal, self.content).errors
        except ValueError:
            return []

    def words(self) -> str:
        """`HTTP 503 the journal is full`: what a refusal says, or the beginning of whatever came."""
        wrong = self.wrong()
        text = wrong[0].reason if wrong else " ".join(self.content.decode("utf-8", "replace").split())
        return f"HTTP {self.status} {beginning(text, _MOST_CHARS)}".strip()

    def failure(self) -> MigctlError | None:
        """The error with its way out that a command's request came to; None where this is no such answer."""
        try:
            failure = typed(_failure, self.content)
        except ValueError:
            return None
        return KINDS.get(failure.exit_code, MigctlError)(failure.what, do=failure.do)

    @property
    def retry_after_s(self) -> float:
        """Seconds that it asks us to wait; 0 where it says nothing, or a date: that is a proxy's."""
        try:
            return min(max(0.0, float(self.headers.get("retry-after", "0"))), LONGEST_WAIT_S)
        except ValueError:
            return 0.0
