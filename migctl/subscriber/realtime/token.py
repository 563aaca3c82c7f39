"""Token: the access token of one reader, renewed at 80 % of its life, before somebody refuses it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

from migctl import clock
from migctl.errors import MigctlError, Transient
from migctl.target.tokens import RENEW_AT_SHARE, claims_of
from migctl.telemetry import get_logger

# Who gives them is away, and the token we have is still good: asked again after a share of what is left of it, within these bounds.
TRY_AGAIN_SHARE = 0.25
TRY_AGAIN_LEAST_S = 0.1
TRY_AGAIN_S = 5.0
# For a token that names no moment at which it ends.
ASSUMED_LIFE_S = 3600.0

log = get_logger("subscriber")


class Token:
    """Asks `access_token` for a new one when it has to, and keeps it in between. first: one that we have already."""

    def __init__(self, access_token: Callable[[], Awaitable[str]], first: str | None = None) -> None:
        self._ask = access_token
        self._text: str | None = None
        self._renew_at = self._ends_at = 0.0
        self._asking = asyncio.Lock()
        if first is not None:
            self._keep(first)

    async def get(self, *, renew: bool = False) -> str:
        """A token that is good for a while. renew: the one we have was refused.

        Raises what `access_token` raises, where the token we have has ended. Until then it is used, whoever gives them may be away.
        """
        if renew:
            self.refused()
        async with self._asking:
            if self._text is not None and clock.mono() < self._renew_at:
                return self._text
            try:
                return self._keep(await self._ask())
            except Transient:
                if self._text is None or self.left_s <= 0:
                    raise
                self._renew_at = clock.mono() + try_again_in_s(self.left_s)
                return self._text

    async def keep_fresh(self) -> NoReturn:
        """Renew it also while nobody needs it: once somebody does, who gives it may be gone."""
        while True:
            await asyncio.sleep(self.renew_in_s)
            try:
                await self.get()
            except MigctlError as error:
                log.debug("token not renewed", reason=error.what)
                await asyncio.sleep(try_again_in_s(self.left_s))

    def _keep(self, text: str) -> str:
        life_s = _life_s(text)
        self._renew_at, self._ends_at = clock.mono() + RENEW_AT_SHARE * life_s, clock.mono() + life_s
        self._text = text
        return text

    def refused(self) -> None:
        """The one we have is not good: the next is asked for."""
        self._text = None

    @property
    def left_s(self) -> float:
        """Seconds until the one we have ends; 0 afterwards."""
        return max(0.0, self._ends_at - clock.mono())

    @property
    def renew_in_s(self) -> float:
        """Seconds until the next renewal is due."""
        return max(0.0, self._renew_at - clock.mono())


def try_again_in_s(left_s: float) -> float:
    """Seconds until the next try, where the token we have is good for `left_s` more; once it has ended, the longest."""
    return min(max(TRY_AGAIN_SHARE * left_s, TRY_AGAIN_LEAST_S), TRY_AGAIN_S) if left_s > 0 else TRY_AGAIN_S


def _life_s(text: str) -> float:
    """How long the token is still good, by its own claim: it was made for us, so its signature is not ours to check."""
    claims = claims_of(text)
    if claims is None or claims.ends_at is None:
        return ASSUMED_LIFE_S
    return max(0.0, (claims.ends_at - clock.now()).total_seconds())
