"""What a `serve` says of the exposure log, and of what users keep."""

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


class KeptStatus(Struct, frozen=True, kw_only=True):
    """flags: that are sticky. kept: variants that users keep. unkept: for which there was no room, since the start.

    waiting: kept in memory, and not on disk yet. reason: why that is, or why nothing is kept; None where all is well.
    """

    flags: list[str]
    kept: int
    unkept: int
    waiting: int
    reason: str | None = None
