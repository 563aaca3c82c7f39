"""Starving: what a `serve` does while there is no memory: a reserve is let go, and what fails for lack of it is no end.

| room below the nearest limit         | the reserve                       |
|--------------------------------------|-----------------------------------|
| less than `LEAST_BYTES`, or none     | is let go                         |
| the reserve, and `AMPLE_BYTES` more  | is held again                     |
| between them, or no limit is known   | stays as it is                    |
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from typing import Any, Literal

from migctl.server.access.memory import Memory, Reserve, is_starved

ASKED_EVERY_S = 0.1
LEAST_BYTES = 12 << 20
AMPLE_BYTES = 64 << 20


def act(room: int | None, *, is_held: bool, size_bytes: int) -> Literal["hold", "let go"] | None:
    """What becomes of the reserve. Pure; table above. room: bytes below the nearest limit; None where none is known."""
    if room is None:
        return None
    if is_held:
        return "let go" if room < LEAST_BYTES else None
    return "hold" if room >= size_bytes + AMPLE_BYTES else None


class Starving:
    """Of one process, which may be somebody else's. `installed` in its loop, and `run` there until cancelled."""

    def __init__(self, memory: Memory, reserve: Reserve) -> None:
        self._memory = memory
        self._reserve = reserve

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        of_loop, of_process = loop.get_exception_handler(), sys.unraisablehook

        def failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            error = context.get("exception")
            if error is not None and is_starved(error):
                self._starved("a connection is closed: nothing could be read from it")
            elif of_loop is not None:
                of_loop(loop, context)
            else:
                loop.default_exception_handler(context)

        def unraisable(failure: sys.UnraisableHookArgs) -> None:
            if failure.exc_value is not None and is_starved(failure.exc_value):
                self._starved("a connection is closed: it could not even be said why")
            else:
                of_process(failure)

        self._reserve.hold()
        loop.set_exception_handler(failed)
        sys.unraisablehook = unraisable
        try:
            yield
        finally:
            self._reserve.let_go()
            loop.set_exception_handler(of_loop)
            sys.unraisablehook = of_process

    async def run(self) -> None:
        while True:
            reserve = self._reserve
            try:
                todo = act(self._memory.room(), is_held=reserve.is_held, size_bytes=reserve.size_bytes)
                if todo is not None:
                    reserve.hold() if todo == "hold" else reserve.let_go()
            except MemoryError:
                reserve.let_go()
            await asyncio.sleep(ASKED_EVERY_S)

    def _starved(self, why: str) -> None:
        self._reserve.let_go()
        with contextlib.suppress(MemoryError):
            self._memory.refused(why)
