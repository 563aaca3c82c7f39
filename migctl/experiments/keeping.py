"""Keeping: the variants that users keep of sticky experiments, in memory and as lines of one file. Nothing waits for it.

| | what becomes of it |
|---|---|
| its experiment is not sticky, or does not run today | nothing is kept, and nothing that was is asked for |
| a variant that chance gave | kept at once, and written by a thread within a moment |
| there are `max_kept` | not kept, counted: the user goes by the shares |
| the disk refuses | kept in memory, tried again, counted while it waits |
| nobody can read the file, or it is another user's | nothing is kept, and why is in the status |

`STATE_DIR/exposures/kept.ndjson` has a line for each change, of which the last of a user counts; a start writes it anew where most
count no more. A line that a kill left half written is passed over. Who was answered in the last moment before a kill, and is
not written yet, goes by the shares again.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from migctl import clock
from migctl.config.files import read_own, write_whole
from migctl.errors import Refused
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
# A file with so many lines, and twice as many as count, is written anew by a start.
MOST_DEAD_LINES = 1000

log = get_logger("experiments")

_Of = tuple[str, str]


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one user keeps. place: of the split; empty for the one of all. user: its hash. percent: as `Kept` has it."""

    flag: str
    place: str = ""
    user: str
    variant: str
    percent: float


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
        append: Callable[[Path, bytes], None] = lines.append,
    ) -> None:
        self._folder = state / lines.FOLDER
        self._sticky = {flag: one for flag, one in of.experiments.items() if one.sticky}
        self._most = of.exposures.max_kept
        self._now = now
        self._append = append
        self._secret: bytes | None = None
        self._kept: dict[_Of, dict[bytes, Kept]] = {}
        self._count = 0
        self._waiting: list[bytes] = []
        self._task: asyncio.Task[None] | None = None
        self.unkept = 0
        self.trouble: str | None = None

    @property
    def is_on(self) -> bool:
        """Some experiment is sticky."""
        return bool(self._sticky)

    def begin(self, *, writing: bool = True) -> None:
        """Read what is kept. It reads the disk; what that refuses is in `trouble`, and stops nobody. writing: False to only ask."""
        if not self.is_on:
            return
        path = self._folder / FILE
        try:
            if not writing and not (self._folder / lines.SECRET).exists():
                return
            secret = lines.secret_of(self._folder)
            try:
                texts = read_own(path).splitlines()
            except FileNotFoundError:
                texts = []
            for text in texts:
                self._take(text)
            if writing and len(texts) - self._count > max(MOST_DEAD_LINES, self._count):
                write_whole(path, b"".join(self._lines()))
        except (OSError, ValueError, Refused) as error:
            self._kept, self._count = {}, 0
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
        return None if not of or self._secret is None else of.get(_key(user, self._secret))

    def keep(self, flag: str, place: str, user: str, kept: Kept) -> None:
        if self._secret is None:
            return
        users = self._kept.setdefault((flag, place), {})
        key = _key(user, self._secret)
        if key not in users:
            if self._count >= self._most:
                self.unkept += 1
                return
            self._count += 1
        users[key] = _interned(kept)
        self._waiting.append(_line(flag, place, key, kept))

    async def run(self) -> None:
        """Write what is kept, until cancelled."""
        while self.is_on:
            await asyncio.sleep(WRITE_EVERY_S)
            if self._waiting and not await self._write():
                await asyncio.sleep(PAUSE_S)

    async def end(self) -> None:
        """Once `run` has ended: the rest."""
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._waiting:
            await self._write()

    async def _write(self) -> bool:
        """A cancellation ends the wait, and not the writing."""
        self._task = asyncio.create_task(self._write_all(), name="variants kept")
        await asyncio.shield(self._task)
        return self.trouble is None

    async def _write_all(self) -> None:
        # From other threads it may grow meanwhile: what was taken is what is written.
        batch, self._waiting = self._waiting, []
        try:
            await asyncio.to_thread(self._append, self._folder / FILE, b"".join(batch))
        except OSError as error:
            self._waiting = batch + self._waiting
            if self.trouble is None:
                log.warning("what users keep can't be written", path=str(self._folder), reason=str(error))
            self.trouble = error.strerror or str(error)
        else:
            self.trouble = None

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

    def _take(self, text: bytes) -> None:
        try:
            line = _decoder.decode(text)
            user = bytes.fromhex(line.user)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
            return  # half a line
        users = self._kept.setdefault((line.flag, line.place), {})
        if user not in users:
            if self._count >= self._most:
                self.unkept += 1
                return
            self._count += 1
        users[user] = _interned(Kept(line.variant, line.percent))

    def _lines(self) -> list[bytes]:
        return [
            _line(flag, place, user, kept)
            for (flag, place), users in self._kept.items()
            for user, kept in users.items()
        ]


def _key(user: str, secret: bytes) -> bytes:
    return bytes.fromhex(lines.hashed(user, secret))


def _line(flag: str, place: str, user: bytes, kept: Kept) -> bytes:
    line = Line(flag=flag, place=place, user=user.hex(), variant=kept.variant, percent=kept.percent)
    return _encoder.encode(line) + b"\n"


_same: dict[Kept, Kept] = {}


def _interned(kept: Kept) -> Kept:
    """One object for all users with the same variant and share: there are few of these, and many users."""
    if len(_same) > MOST_DEAD_LINES:
        _same.clear()
    return _same.setdefault(Kept(sys.intern(kept.variant), kept.percent), kept)
