"""Exposures: keeps who was served which variant, a line for each user, flag, variant and UTC day. Nothing waits for it.

| | what becomes of an exposure |
|---|---|
| its flag is no experiment, or one that does not run today | nothing |
| this user had this variant today already | nothing |
| the first today | queued, and written by a thread |
| the first that chance decided, after one that it did not (blind, braked, a share of 0) | one line more: only such are compared |
| the day has `max_per_day`, or the queue is full | not written, counted |
| the disk refuses | not written, counted; the user's next one is tried again |

A start reads the day's file, so that a restart doubles nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from migctl import clock
from migctl.config.files import make_private_folder
from migctl.errors import Refused
from migctl.events import format_time
from migctl.experiments import lines
from migctl.experiments.document import Experiments
from migctl.flags.exposure import NOT_DRAWN, Exposure
from migctl.resilience import News
from migctl.status.experiments import ExposuresStatus
from migctl.telemetry import get_logger

MOST_WAITING = 20_000
# After a disk has refused.
PAUSE_S = 1.0

log = get_logger("experiments")

_Kind = tuple[str, str, bool]
_Waiting = tuple[date, _Kind, bytes, bytes]


class Exposures:
    """Of one `serve`. `begin` before the first is served, `run` until cancelled, then `end`."""

    def __init__(
        self,
        state: Path,
        of: Experiments,
        *,
        now: Callable[[], datetime] = clock.now,
        append: Callable[[Path, bytes], None] = lines.append,
    ) -> None:
        self._folder = state / lines.FOLDER
        self._of = of
        self._now = now
        self._append = append
        self._secret: bytes | None = None
        self._day = self._tidied = date.min
        self._users: dict[_Kind, set[bytes]] = {}
        self._count = 0
        self._waiting: list[_Waiting] = []
        self._news = News()
        self._task: asyncio.Task[None] | None = None
        self.unwritten = 0
        self._trouble: str | None = None

    def begin(self) -> None:
        """Read what the day has already, and make the secret. It reads the disk; what it refuses is said, and stops nobody."""
        if not self._is_on:
            return
        try:
            secret = lines.secret_of(self._folder)
            self._turn(self._now().astimezone(UTC).date())
            for line in lines.read_lines(lines.day_file(self._folder, self._day)):
                if line is not None:
                    self._add((line.flag, line.assigned, line.drawn), line.user)
            self._tidy()
        except (OSError, ValueError, Refused) as error:
            self._refused(str(error), 0)
        else:
            self._secret, self._trouble = secret, None

    @property
    def _is_on(self) -> bool:
        return self._of.exposures.log and bool(self._of.experiments)

    def served(self, exposure: Exposure) -> None:
        """Never raises, and waits for nothing."""
        experiment = self._of.experiments.get(exposure.flag)
        if experiment is None or not self._is_on:
            return
        if self._secret is None:
            self.unwritten += 1
            self._news.wake()
            return
        moment = self._now().astimezone(UTC)
        if moment.date() != self._day:
            self._turn(moment.date())
        if not experiment.runs_on(self._day):
            return
        user = lines.hashed(exposure.user, self._secret)
        placed = exposure.placed()
        drawn = exposure.reason not in NOT_DRAWN and (placed is None or placed.is_drawn)
        kind = (exposure.flag, exposure.assigned, drawn)
        if bytes.fromhex(user) in self._users.get(kind, ()):
            return
        if self._count >= self._of.exposures.max_per_day or len(self._waiting) >= MOST_WAITING:
            self.unwritten += 1
            return
        self._add(kind, user)
        line = lines.Line(
            at=format_time(moment),
            flag=exposure.flag,
            user=user,
            assigned=exposure.assigned,
            transport=exposure.transport,
            reason=exposure.reason,
            n=exposure.n,
            segment=placed.segment if placed is not None else None,
            named=placed is not None and placed.named,
            percent=placed.percent if placed is not None else None,
            drawn=drawn,
            kept=placed is not None and placed.kept,
        )
        self._waiting.append((self._day, kind, bytes.fromhex(user), lines.encode(line)))
        self._news.wake()

    async def run(self) -> None:
        """Write what is queued, and take away what is too old, until cancelled."""
        while True:
            if not self._waiting:
                await self._news.wait()
                if self._secret is None:
                    await asyncio.to_thread(self.begin)
                    await asyncio.sleep(PAUSE_S)
                continue
            refused = self.unwritten
            await self._write()
            if self._day != self._tidied:
                await asyncio.to_thread(self._tidy)
            if self.unwritten > refused:
                await asyncio.sleep(PAUSE_S)

    async def end(self) -> None:
        """Once `run` has ended: the rest."""
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._waiting:
            await self._write()

    def status(self) -> ExposuresStatus | None:
        """None where nothing is logged."""
        if not self._is_on:
            return None
        return ExposuresStatus(
            flags=sorted(self._of.experiments),
            today=self._count,
            unwritten=self.unwritten,
            reason=self._trouble,
        )

    async def _write(self) -> None:
        """A cancellation ends the wait, and not the writing."""
        self._task = asyncio.create_task(self._write_all(), name="exposures written")
        await asyncio.shield(self._task)

    async def _write_all(self) -> None:
        batch, self._waiting = self._waiting, []
        for day in sorted({of for of, *_ in batch}):
            due = [one for one in batch if one[0] == day]
            try:
                await asyncio.to_thread(self._append_day, day, b"".join(data for _, _, _, data in due))
            except OSError as error:
                self._forget(due)
                self._refused(error.strerror or str(error), len(due))
            else:
                if self._trouble is not None:
                    log.info("exposures are written again", unwritten=self.unwritten)
                self._trouble = None

    def _append_day(self, day: date, data: bytes) -> None:
        make_private_folder(self._folder)
        self._append(lines.day_file(self._folder, day), data)

    def _refused(self, reason: str, count: int) -> None:
        self.unwritten += count
        if self._trouble is None:
            log.warning("exposures can't be written", path=str(self._folder), reason=reason)
        self._trouble = reason

    def _forget(self, due: list[_Waiting]) -> None:
        """Each user's next exposure is tried again."""
        for day, kind, user, _ in due:
            if day == self._day:
                self._users[kind].discard(user)
                self._count -= 1

    def _add(self, kind: _Kind, user: str) -> None:
        users = self._users.setdefault(kind, set())
        before = len(users)
        users.add(bytes.fromhex(user))
        self._count += len(users) - before

    def _turn(self, day: date) -> None:
        self._day, self._users, self._count = day, {}, 0

    def _tidy(self) -> None:
        self._tidied = self._day
        oldest = self._now().astimezone(UTC).date() - timedelta(days=self._of.exposures.retain_days)
        try:
            for day in lines.days_of(self._folder):
                if day < oldest:
                    lines.day_file(self._folder, day).unlink(missing_ok=True)
        except OSError as error:
            log.warning("old exposures can't be removed", path=str(self._folder), reason=str(error))
