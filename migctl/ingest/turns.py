"""Turns: whoever has work without end leaves a share of the event loop to everybody else.

A loop that is never idle comes round late for all; so after a spell of work there is a rest, in which nothing of it is done. Who
work at the same thing share one `Turns`: together they rest.
"""

from __future__ import annotations

import asyncio

from migctl import clock

WORK_S = 0.004
REST_S = 0.004
IDLE_S = 0.05


class Turns:
    """Call `give` after each piece of work. rests: how often there was one.

    | since the last `give`         | since the rest before      | `give`                  |
    |-------------------------------|----------------------------|-------------------------|
    | more than IDLE_S: it was idle | any                        | returns; a spell begins |
    | less                          | less than WORK_S           | returns                 |
    | less                          | WORK_S or more             | rests for REST_S        |
    | (any)                         | somebody else rests        | rests with him          |
    """

    def __init__(self) -> None:
        self.rests = 0
        self._began = self._last = float("-inf")
        self._rests_until = float("-inf")

    async def give(self) -> None:
        now = clock.mono()
        if now >= self._rests_until:
            idle, self._last = now - self._last > IDLE_S, now
            if idle:
                self._began = now
            if now - self._began < WORK_S:
                return
            self.rests += 1
            self._rests_until = now + REST_S
        await asyncio.sleep(self._rests_until - now)
        self._began = self._last = clock.mono()
