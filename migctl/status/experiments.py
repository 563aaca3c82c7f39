"""What a `serve` says of the exposure log."""

from __future__ import annotations

from msgspec import Struct


class ExposuresStatus(Struct, frozen=True, kw_only=True):
    """flags: whose exposures are logged. today: exposures of this UTC day. unwritten: that could not be written, since the start.

    reason: why none can be written now; None where they can.
    """

    flags: list[str]
    today: int
    unwritten: int
    reason: str | None = None
