"""Closing: a `serve` whose rollout is completed has no WebSocket, whatever its flags, its brakes or its environment say.

| it runs in | the rollout is completed | it is opened again by `rollout revert` |
|---|---|---|
| dual | `/ws` answers 410, sockets are closed, everybody is on Realtime, the witness ends | all of it is back at once |
| realtime, since it was completed at the start | nothing changes | told: with its next start the WebSocket is back |
| it starts, in any mode | it runs in mode realtime, and says which setting to take out | as it is set |

What it goes by is the record, asked as often as for the stage; with that away what was known last, which is kept on disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress

from migctl.config import Mode, Settings, flag
from migctl.errors import MigctlError
from migctl.flags.record import target_name
from migctl.resilience import News
from migctl.runtime.flags import TRANSPORT, record_of
from migctl.runtime.parts import Parts
from migctl.runtime.rollout import at_hand
from migctl.runtime.staged import completed_by, kept_in
from migctl.runtime.witness import KeptWitness
from migctl.telemetry import get_logger

# A start waits no longer for the record.
ASKED_S = 2.0

log = get_logger("serve")


class Closing:
    """Of one `serve`. notify: is told what an operator must hear."""

    def __init__(self, parts: Parts, *, mode: Mode, notify: Callable[[str], None]) -> None:
        self.closed = False
        self._parts = parts
        self._mode: Mode = mode
        self._notify = notify
        self._changed = News()

    def change(self, closed: bool) -> None:
        """The record says so, or what was kept of it."""
        self.closed = closed
        self._changed.wake()
        gateway = self._parts.gateway
        if gateway is None:
            if not closed:
                self._notify_all("the WebSocket may be served again: start this serve again to have it")
            return
        self._parts.flags.restrict(TRANSPORT.opened if closed else None)
        if closed:
            gateway.switch_off()
            self._notify_all("the rollout is completed: /ws answers 410, and everybody is on Realtime")
            if flag(TRANSPORT.flag) == TRANSPORT.otherwise:
                self._notify_all(OVERRIDDEN)
        else:
            gateway.switch_on()
            self._notify_all("the WebSocket is open again")

    async def watch(self, witness: KeptWitness, url: str) -> None:
        """Keep a witness while there are two transports to watch, until cancelled."""
        while True:
            if self.closed:
                await self._changed.wait()
                continue
            task = asyncio.ensure_future(witness.run(url))
            try:
                while not self.closed:
                    await self._changed.wait()
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def _notify_all(self, what: str) -> None:
        log.warning(what)
        self._notify(what)


OVERRIDDEN = (
    f"MIGCTL_FLAG_{TRANSPORT.flag.upper()}=websocket can't be honoured: the WebSocket is switched off by `rollout complete`. "
    "Take it out; `migctl rollout revert` opens the WebSocket again"
)


async def closed_before(settings: Settings) -> bool:
    """Whether the rollout of this target is completed, asked at a start. The record says it; with that away what was known last."""
    target = at_hand(settings)
    kept = kept_in(settings.state)
    if target is None or not target.service_role_key:
        return kept is not None and kept.completed and settings.supabase.url is None
    record = record_of(settings, target)
    try:
        async with asyncio.timeout(ASKED_S):
            return completed_by((await record.rollout(TRANSPORT.flag)).state)
    except (MigctlError, TimeoutError) as error:
        log.info("the record was not asked whether the rollout is completed", reason=str(error))
    finally:
        await record.aclose()
    return kept is not None and kept.completed and kept.target == target_name(settings, target)


def remarks(settings: Settings, override: str | None) -> Iterator[str]:
    """What to take out of the settings of a serve that starts after completion."""
    if settings.mode != "realtime":
        yield (
            f"warning: the rollout is completed, so this serve runs in mode realtime, and not in {settings.mode}: take out "
            f"`--mode {settings.mode}`, MIGCTL_MODE, or `mode:` in migctl.yaml, whichever says so; "
            "`migctl rollout revert` opens the WebSocket again"
        )
    if override == TRANSPORT.otherwise:
        yield f"warning: {OVERRIDDEN}"
