"""Minted: a token and its end, and what a token says of itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple


class Minted(NamedTuple):
    """A token of role authenticated, or another, and the moment at which it ends."""

    text: str
    ends_at: datetime


def ends_of(exp: int) -> datetime:
    """exp: Unix seconds."""
    return datetime.fromtimestamp(exp, UTC)
