"""Keeping: the variants that users keep of sticky experiments, in memory and as lines of one file. Nothing waits for it.

| | what becomes of it |
|---|---|
| its experiment is not sticky, or does not run today | nothing is kept, and nothing that was is asked for |
| a variant that chance gave | kept at once, and written by a thread within a moment |
| there are `max_kept` | not kept, counted: the user goes by the shares |
| the disk refuses | kept in memory, tried again, counted while it waits |
| its experiment is over, sticky no more, or began later | forgotten by the next start |
| nobody can read the file, or it is another user's | nothing is kept, and why is in the status |

`STATE_DIR/exposures/kept.ndjson` has a line for each change, of which the last of a user counts; where most count no more it is
written anew. A line that a kill left half written is passed over. Who was answered in the last moment before a kill, and is
not written yet, goes by the shares again.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from migctl import clock
from migctl.config.files import read_own, write_whole
from migctl.errors import Refused
from migctl.events.jsontext import typed
from migctl.experiments import lines
from migctl.experiments.document import Experiments
from migctl.flags.kept import Kept
from migctl.status.experiments import KeptStatus
from migctl.telemetry import get_logger

FILE = "kept.ndjson"
# How soon what is kept is on disk.
WRITE_EVERY_S = 0.1
# After a disk has refused.
PAUSE_S = 1.0
# A file with so many lines that count no more, and more than count, is written anew.
MOST_DEAD_LINES = 1000

log = get_logger("experiments")

_Of = tuple[str, str]


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one user keeps. place: of the split; empty for the one of all. user: its hash. percent: as `Kept` has it.

    day: UTC, when it was given.
    """

    day: date
    flag: str
    place: str = ""
    user: str
    variant: str
    percent: float


class _Held(NamedTuple):
    kept: Kept
    day: date


def _append(path: Path, data: bytes) -> None:
    lines.append(path, data, durable=True)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)


class Keeping:
    """Of one process: a `Keeper`. `begin` before the first is asked, `run` until cancelled, then `end`.

    Without `run` it only reads, as a command does. Asked from any thread.
    """

    def __init__(
        self,
        state: Path,
        of: Experiments,
        *,
        now: Callable[[], datetime] = clock.now,
        append: Callable[[Path, bytes], None] = _append,
    ) -> None:
        self._folder = state / lines.FOLDER
        self._sticky = {flag: one for flag, one in of.experiments.items() if one.sticky}
        self._most = of.exposures.max_kept
        self._now = now
        self._append = append
        self._secret: bytes | None = None
        # Taken by who changes what is below; who only asks needs none.
        self._lock = threading.Lock()
        self._kept: dict[_Of, dict[bytes, _Held]] = {}
        self._count = 0
        self._waiting: list[bytes] = []
        self._lines = 0  # on disk
        self._owes_all = False
        self._task: asyncio.Task[None] | None = None
        self.unkept = 0
        self.trouble: str | None = None

    @property
    def is_on(self) -> bool:
        """Some experiment is sticky."""
        return bool(self._sticky)

    def begin(self, *, writing: bool = True) -> None:
        """Read what is kept. It reads the disk; what that refuses is in `trouble`, and stops nobody. writing: False to only ask."""
        path = self._folder / FILE
        if not self.is_on:
            if writing:
                with contextlib.suppress(OSError):  # it is nobody's any more
                    path.unlink(missing_ok=True)
            return
        try:
            if not writing and not (self._folder / lines.SECRET).exists():
                return
            secret = lines.secret_of(self._folder)
            try:
                texts = read_own(path).splitlines()
            except FileNotFoundError:
                texts = []
            over = sum(not self._take(text) for text in texts)
            self._lines = len(texts)
            if writing and (over or self._is_mostly_dead()):
                self._write_whole(self._all())
        except (OSError, ValueError, Refused) as error:
            self._kept, self._count, self._lines = {}, 0, 0
            self.trouble = str(error)
            log.warning(
                "what users keep can't be read: all go by the shares", path=str(path), reason=str(error)
            )
        else:
            self._secret, self.trouble = secret, None

    def keeps(self, flag: str) -> bool:
        experiment = self._sticky.get(flag)
        return (
            experiment is not None
            and self._secret is not None
            and experiment.runs_on(self._now().astimezone(UTC).date())
        )

    def kept(self, flag: str, place: str, user: str) -> Kept | None:
        of = self._kept.get((flag, place))
        if not of or self._secret is None:
            return None
        held = of.get(_key(user, self._secret))
        return held.kept if held is not None else None

    def counts(self, flag: str) -> Counter[str]:
        """Users by the variant that they keep."""
        with self._lock:
            return Counter(
                held.kept.variant
                for (of, _), users in self._kept.items()
                if of == flag
                for held in users.values()
            )

    def keep(self, flag: str, place: str, user: str, kept: Kept) -> None:
        if self._secret is None:
            return
        key, held = _key(user, self._secret), _interned(kept, self._now().astimezone(UTC).date())
        with self._lock:
            if self._hold(flag, place, key, held):
                self._waiting.append(_line(flag, place, key, held))

    def _hold(self, flag: str, place: str, user: bytes, held: _Held) -> bool:
        """False where there is no room."""
        users = self._kept.setdefault((flag, place), {})
        if user not in users:
            if self._count >= self._most:
                self.unkept += 1
                return False
            self._count += 1
        users[user] = held
        return True

    async def run(self) -> None:
        """Write what is kept, until cancelled."""
        while self.is_on:
            await asyncio.sleep(WRITE_EVERY_S)
            if self._is_due and not await self._write():
                await asyncio.sleep(PAUSE_S)

    async def end(self) -> None:
        """Once `run` has ended: the rest."""
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._is_due:
            await self._write()

    @property
    def _is_due(self) -> bool:
        return bool(self._waiting) or self._owes_all

    async def _write(self) -> bool:
        """A cancellation ends the wait, and not the writing."""
        self._task = asyncio.create_task(self._write_all(), name="variants kept")
        await asyncio.shield(self._task)
        return self.trouble is None

    async def _write_all(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
            self._lines += len(batch)
            # All that is held, with what waited: also where a disk refused for so long that more waited than is held.
            whole = self._all() if self._is_mostly_dead() else None
        try:
            if whole is None:
                await asyncio.to_thread(self._append, self._folder / FILE, b"".join(batch))
            else:
                await asyncio.to_thread(self._write_whole, whole)
        except OSError as error:
            self._owes_all = whole is not None
            if whole is None:
                with self._lock:
                    self._waiting = batch + self._waiting
                    self._lines -= len(batch)
            if self.trouble is None:
                log.warning("what users keep can't be written", path=str(self._folder), reason=str(error))
            self.trouble = error.strerror or str(error)
        else:
            self._owes_all, self.trouble = False, None

    def _is_mostly_dead(self) -> bool:
        return self._lines - self._count > max(MOST_DEAD_LINES, self._count)

    def _all(self) -> list[tuple[_Of, dict[bytes, _Held]]]:
        return [(of, dict(users)) for of, users in self._kept.items()]

    def _write_whole(self, whole: Iterable[tuple[_Of, dict[bytes, _Held]]]) -> None:
        found = [
            _line(flag, place, user, held) for (flag, place), users in whole for user, held in users.items()
        ]
        write_whole(self._folder / FILE, b"".join(found))
        self._lines = len(found)

    def status(self) -> KeptStatus | None:
        """None where no experiment is sticky."""
        if not self.is_on:
            return None
        return KeptStatus(
            flags=sorted(self._sticky),
            kept=self._count,
            unkept=self.unkept,
            waiting=len(self._waiting),
            reason=self.trouble,
        )

    def _take(self, text: bytes) -> bool:
        """False where it counts no more: half a line, or of an experiment that is over or began later."""
        try:
            line = typed(_decoder, text)
            user = bytes.fromhex(line.user)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
            return False
        experiment = self._sticky.get(line.flag)
        today = self._now().astimezone(UTC).date()
        if experiment is None or experiment.is_over(today) or not experiment.runs_on(min(line.day, today)):
            return False
        return self._hold(line.flag, line.place, user, _interned(Kept(line.variant, line.percent), line.day))


def _key(user: str, secret: bytes) -> bytes:
    return bytes.fromhex(lines.hashed(user, secret))


def _line(flag: str, place: str, user: bytes, held: _Held) -> bytes:
    kept = held.kept
    line = Line(
        day=held.day, flag=flag, place=place, user=user.hex(), variant=kept.variant, percent=kept.percent
    )
    return _encoder.encode(line) + b"\n"


_same: dict[_Held, _Held] = {}


def _interned(kept: Kept, day: date) -> _Held:
    """One object for all users with the same variant, share and day: there are few of these, and many users."""
    if len(_same) > MOST_DEAD_LINES:
        _same.clear()
    held = _Held(Kept(sys.intern(kept.variant), kept.percent), day)
    return _same.setdefault(held, held)
