"""Renewed: a token of role authenticated that somebody else gives, kept for most of its life, and renewed before it ends."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from datetime import datetime
from typing import ClassVar

from migctl import clock
from migctl.config.roles import AUTHENTICATED
from migctl.errors import MigctlError, Systemic, Transient
from migctl.target.minted import Minted
from migctl.target.tokens import RENEW_AT_SHARE, claims_of

# After a failure nobody is asked again for so long, however many want one.
TRY_AGAIN_S = 5.0


class Renewed(ABC):
    """Asks `_obtain` when a token is needed, once at a time, and keeps it for 80 % of what was left of its life.

    name: of the setting that it is from.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._obtaining = asyncio.Lock()
        self._minted: Minted | None = None
        self._renew_at = float("-inf")
        self._failure: MigctlError | None = None

    @abstractmethod
    async def _obtain(self) -> Minted:
        """A new one. Raises Transient or Systemic."""

    async def token(self, ttl_s: float = 0.0, *, now: datetime | None = None) -> Minted:
        """A token that is good for a while; how long, whoever gives it says. Raises Transient or Systemic where none comes and the
        last one has ended.
        """
        async with self._obtaining:
            if clock.mono() >= self._renew_at:
                await self._renew()
            minted, failure = self._minted, self._failure
        if minted is not None and minted.ends_at > clock.now():
            return minted
        assert failure is not None
        raise type(failure)(failure.what, do=failure.do)

    async def _renew(self) -> None:
        try:
            self._minted, self._failure = await self._obtain(), None
            left = self._minted.ends_at - clock.now()
            self._renew_at = clock.mono() + RENEW_AT_SHARE * left.total_seconds()
        except (Transient, Systemic) as failure:
            self._failure = failure
            self._renew_at = clock.mono() + TRY_AGAIN_S


def usable(text: str) -> Minted | str:
    """The token with its end; or, in words, what it is instead of a token that a subscriber can use."""
    claims = claims_of(text)
    if claims is None:
        return "what is no JWT"
    if claims.role != AUTHENTICATED:
        return f"a token whose role is not {AUTHENTICATED}"
    if claims.ends_at is None:
        return "a token that says no end (exp)"
    if claims.ends_at <= clock.now():
        return "a token that has ended already"
    return Minted(text, claims.ends_at)
