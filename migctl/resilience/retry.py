"""Retry: coming back to what failed. How many failures in a row, how loud each is, how long to stay away; one loop for all rooms.

    retry = Retry(Backoff(0.1, 2.0))
    while True:
        try:
            async with connect() as socket:
                retry.succeeded()
                await serve(socket)
        except MigctlError as error:
            log.log(retry.failed(error).level, "connection lost", reason=error.what)
        await retry.wait(news)

`succeeded` and `failed` are the rule, and pure. `wait` is the one place that takes time, and news end it: what has changed may be
just what was waited for.
"""

from __future__ import annotations

import asyncio
import logging
import random as _random
from collections.abc import Callable
from dataclasses import dataclass

from migctl.errors import MigctlError
from migctl.resilience.backoff import Backoff
from migctl.resilience.waiting import News


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure. number: in its row, from 1. delay_s: how long `wait` stays away for it."""

    number: int
    delay_s: float

    @property
    def level(self) -> int:
        """Of `logging`: the first of a row is a warning; its repeats say nothing new."""
        return logging.WARNING if self.number == 1 else logging.DEBUG


class Retry:
    """Of one thing that is tried until it works.

    | input          | `failures` after | delay of the next `wait`                                  |
    |----------------|------------------|-----------------------------------------------------------|
    | `succeeded`    | 0                | 0                                                         |
    | `failed` (n-1 failures before), a retry may mend it | n | of `backoff` for the n-th failure   |
    | the same, no retry changes it (`error.retry` False) | n | of `slow` for the n-th failure      |
    | either, and to stay away was asked (`asked_s`)      | n | as above, after what was asked      |
    | `wait` is over | as before        | 0: a delay is waited once                                 |

    slow: default is as long as `backoff` ever stays away. What only an operator can mend is tried again all the same: they may be
    mending it. random: uniform in [0, 1).
    """

    def __init__(
        self,
        backoff: Backoff,
        *,
        slow: Backoff | None = None,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._backoff = backoff
        self._slow = slow or Backoff(backoff.most_s, backoff.most_s)
        self._random = random
        self._delay_s = 0.0
        self.failures = 0

    def follow(self, backoff: Backoff, *, slow: Backoff) -> None:
        """Stay away by these, from the next failure on."""
        self._backoff, self._slow = backoff, slow

    def succeeded(self) -> None:
        """It works: the next failure is the first of a new row. What proves that it works, the caller knows."""
        self.failures = 0
        self._delay_s = 0.0

    def failed(self, error: MigctlError, *, asked_s: float = 0.0) -> Failure:
        """It failed, once more or anew. asked_s: the other side asked to be left alone for so long.

        We come back at random within another delay after that: others were asked the same.
        """
        self.failures += 1
        policy = self._backoff if error.retry else self._slow
        self._delay_s = asked_s + policy.delay_s(self.failures, self._random)
        return Failure(self.failures, self._delay_s)

    async def wait(self, news: News | None = None, *, least_s: float = 0.0) -> bool:
        """Stay away as long as the last failure asks, and no shorter than `least_s`. True where `news` ended it."""
        delay_s, self._delay_s = max(self._delay_s, least_s), 0.0
        if news is not None:
            return await news.wait(delay_s)
        await asyncio.sleep(delay_s)
        return False
