"""Throttle: an operator holds the relay's writing, for a reason, until somebody lifts it.

Only writing waits: the journal takes events, the WebSocket and Realtime's hints go on, the backlog grows, nothing is lost. It is
in the journal too, so that a restart does not lift what an operator asked for. It holds or lifts at once, whether that could be
kept or not: a disk that a long hold has filled must not be in the way of its end.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from migctl import clock
from migctl.errors import MigctlError
from migctl.events.jsontext import dumps, loads
from migctl.journal import Journal
from migctl.resilience import News
from migctl.status import ThrottleStatus
from migctl.telemetry import get_logger

NOTE = "throttle"
_NONE = "none"

_log = get_logger("relay")


@dataclass(frozen=True, slots=True)
class Changed:
    """before, after: None is not throttled. unkept: why a restart would not know of it; None where it would."""

    before: ThrottleStatus | None
    after: ThrottleStatus | None
    unkept: str | None = None


class Throttle:
    """Of one relay. held: who holds it, and why; None where it runs."""

    def __init__(self, journal: Journal) -> None:
        self.held: ThrottleStatus | None = None
        self._journal = journal
        self._changed = News()

    async def load(self) -> None:
        """Take up what was asked for before this start."""
        text = await self._journal.note(NOTE)
        if text is None or text == _NONE:
            return
        self.held = msgspec.convert(loads(text), ThrottleStatus)
        _log.warning(
            "throttled since before this start", by=self.held.by, reason=self.held.reason, do="`migctl ctl no-throttle`"
        )  # fmt: skip

    async def hold(self, by: str, reason: str) -> Changed:
        """From the next batch on. Who holds it already is replaced; since then it is all the same."""
        before = self.held
        self.held = ThrottleStatus(
            reason=reason, by=by, since=before.since if before is not None else clock.now()
        )
        _log.warning("throttled", by=by, reason=reason)
        return Changed(before, self.held, await self._keep())

    async def lift(self, by: str, reason: str) -> Changed:
        """Go on now."""
        before, self.held = self.held, None
        self._changed.wake()
        if before is not None:
            lasted_s = round((clock.now() - before.since).total_seconds(), 1)
            _log.warning("no longer throttled", by=by, reason=reason, lasted_s=lasted_s)
        return Changed(before, None, await self._keep())

    async def until_lifted(self) -> None:
        """Return at once where nobody holds it."""
        while self.held is not None:
            await self._changed.wait()

    async def _keep(self) -> str | None:
        held = self.held
        text = _NONE if held is None else dumps(msgspec.to_builtins(held)).decode()
        try:
            await self._journal.set_note(NOTE, text)
        except MigctlError as error:
            _log.warning("the throttle is not kept: a restart does not know of it", reason=error.what)
            return error.what
        return None
