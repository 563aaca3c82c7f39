"""Writing: windows into the evidence table, by the one witness that has the lease. While the target is away they are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from migctl.errors import MigctlError
from migctl.flags.assignment import Assignments, Switch
from migctl.flags.record import Record, Rollout
from migctl.flags.shares import Shares
from migctl.resilience import Backoff, Retry
from migctl.resilience.waiting import News
from migctl.telemetry import get_logger
from migctl.validate.witness.minute import Minute
from migctl.validate.witness.state import Kept

LEASE = "witness"
FLAG = "transport"
SWITCH = Switch(FLAG, "realtime", "websocket")
LEASE_S = 15.0
RENEW_S = 5.0
AT_ONCE = 500
RETRY = Backoff(0.5, 5.0)

log = get_logger("witness")


class Writing:
    """`run` until cancelled. holder: the name that the lease is taken in. changed: told when what it says has changed."""

    def __init__(self, record: Record, kept: Kept, holder: str, changed: Callable[[], None]) -> None:
        self._record = record
        self._kept = kept
        self._holder = holder
        self._changed = changed
        self._news = News()
        self.standby = False
        self.unwritten: str | None = None
        self.step: str | None = None  # of the rollout that is under way, as far as it is known
        self.shares: Shares | None = None  # in force, as the record said last

    def add(self, minute: Minute) -> None:
        """A window has closed. Of one that another witness writes there is nothing to keep."""
        if self.standby:
            return
        self._kept.add(minute)
        self._news.wake()

    async def run(self) -> None:
        retry = Retry(RETRY)
        while True:
            try:
                await self.round()
                retry.succeeded()
                await self._news.wait(RENEW_S)
            except MigctlError as error:
                self.shares = None
                if self.unwritten != error.what:
                    self.unwritten = error.what
                    self._changed()
                log.log(
                    retry.failed(error).level, "evidence is kept", windows=len(self._kept), reason=error.what
                )
                await retry.wait(self._news, least_s=0.2)

    async def round(self) -> None:
        """Renew the lease, and write what is kept. Raises Transient, Systemic."""
        lease = await self._record.lease(LEASE, self._holder, LEASE_S)
        other = other_witness(lease, self._holder)
        self.standby = other is not None
        if other is not None:
            self.unwritten = other
            self._changed()
            return
        self.step = step_of((await self._record.rollout(FLAG)).state)
        self.shares = Assignments(SWITCH, (await self._record.read()).snapshot).shares()
        while minutes := self._kept.first(AT_ONCE):
            await self._record.write_minutes(minutes)
            self._kept.written(minutes)
            log.debug("evidence written", first=minutes[0].id, last=minutes[-1].id, windows=len(minutes))
        if self.unwritten is not None:
            log.info("evidence is written again")
        self.unwritten = None
        self._changed()

    async def finish(self, within_s: float) -> None:
        """What is left, if it takes no longer; else the next witness of this folder writes it."""
        try:
            async with asyncio.timeout(within_s):
                await self.round()
        except (MigctlError, TimeoutError) as error:
            log.warning("evidence is kept for the next start", windows=len(self._kept), reason=str(error))


class _State(msgspec.Struct):
    step_id: str | None = None


def other_witness(lease: Rollout, holder: str) -> str | None:
    """Why this one stands by; None where it has the lease, and writes."""
    if lease.holder == holder:
        return None
    return f"{lease.holder} is the witness, for {lease.left_s or 0:.0f} s and as long as it renews"


def step_of(state: object) -> str | None:
    """Of a rollout's state; None where none is under way, or where it is of a form that is not known here."""
    try:
        return msgspec.convert(state, _State).step_id if state is not None else None
    except ValueError:
        return None
