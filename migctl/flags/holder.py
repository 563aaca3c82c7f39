"""Holder: the flags of one process: in memory, on disk, and who is told when they change.

Whatever is heard, from whichever store or person, is merged; nothing replaces what is held. A change is durable before it is
confirmed to whoever brought it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from migctl.errors import MigctlError
from migctl.flags.assignment import Assignments, Switch
from migctl.flags.disk import SnapshotFile
from migctl.flags.snapshot import OtherTarget, Snapshot, flag_sets, merged
from migctl.resilience import News
from migctl.telemetry import get_logger

log = get_logger("flags")


class Holder:
    """file: None holds in memory only; such a process confirms nothing. override: the environment's kill switch.

    when_blind: what everybody has until the record was reached once; None is the switch's `otherwise`. overrides: the variant that
    the environment gives another flag, by its key.
    """

    def __init__(
        self,
        switch: Switch,
        target: str,
        file: SnapshotFile | None,
        *,
        override: str | None = None,
        when_blind: str | None = None,
        blind: bool = True,
        overrides: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        """Raises Usage where the file can't be read."""
        self.switch = switch
        self.changed = News()
        self._file = file
        self._override = override
        self._when_blind = when_blind
        self._overrides = overrides
        self._blind = blind
        self._writing = asyncio.Lock()
        self._snapshot = file.read(target) if file is not None else Snapshot(target=target)
        self._kept = self._snapshot
        self.unkept: MigctlError | None = None  # why what is held is not on disk; None where it is
        self._assignments = self._made()

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot

    @property
    def assignments(self) -> Assignments:
        """What holds now. Taken once for an answer, it stays one version."""
        return self._assignments

    @property
    def blind(self) -> bool:
        """The record was not reached since the start."""
        return self._blind

    @property
    def override(self) -> str | None:
        """The environment's kill switch."""
        return self._override

    @property
    def is_durable(self) -> bool:
        """There is a folder to keep it in."""
        return self._file is not None

    @property
    def is_kept(self) -> bool:
        """All that is held is on disk."""
        return self._kept == self._snapshot

    @property
    def confirms(self) -> bool:
        """Whether what it has heard outlives it, and is what its users get."""
        return self._file is not None and self._override is None

    async def hear(self, heard: Snapshot) -> bool:
        """Merge what was heard; all that is held is durable when this returns. True where there was news.

        Raises Usage where it can't be kept; it is in force all the same, but must not be confirmed.
        """
        async with self._writing:
            try:
                after = merged(self._snapshot, heard)
            except OtherTarget as error:
                log.error("flags of another target are passed over", reason=str(error))
                return False
            is_news = after != self._snapshot
            if is_news:
                before, self._snapshot = self._snapshot, after
                self._apply(before)
            # What could not be kept before is no news, and not on disk either.
            if self._file is not None and after != self._kept:
                await self._keep(self._file, after)
            return is_news

    async def follow(self, heard: Snapshot) -> bool:
        """As `hear`, for who confirms nothing: a disk that refuses is said once, and tried again with the next."""
        try:
            return await self.hear(heard)
        except MigctlError:
            return True

    async def _keep(self, file: SnapshotFile, snapshot: Snapshot) -> None:
        try:
            await asyncio.to_thread(file.write, snapshot)
        except MigctlError as error:
            if self.unkept is None:
                log.error(
                    "flags can't be kept; they hold, and are not confirmed", reason=error.what, do=error.do
                )
            self.unkept = error
            raise
        self._kept, self.unkept = snapshot, None

    def reached_the_record(self) -> None:
        """The record was asked, and what it said was heard."""
        if self._blind:
            self._blind = False
            self._apply(self._snapshot)

    def _apply(self, before: Snapshot) -> None:
        after = self._snapshot
        try:
            self._assignments = self._made()
        except (ValueError, MigctlError) as error:  # `read` has passed each row that is held
            log.error("flags can't be used", n=after.n, reason=str(error))
            raise
        if after.unreadable_n > before.unreadable_n:
            log.error(
                "a flag set can't be read; the last good one holds", n=after.unreadable_n, in_use=after.n
            )
        if len(after.rows) > 1 and len(before.rows) <= 1:
            log.error(
                "the record gave one number twice; each caps the other",
                n=after.n,
                ids=[row.id for row in after.rows],
            )
        log.info(
            "flags changed",
            n=after.n,
            brakes=[brake.id for brake in after.live_brakes()],
            blind=self._blind,
        )
        self.changed.wake()

    def _made(self) -> Assignments:
        keys = {key for flag_set in flag_sets(self._snapshot) for key in flag_set.flags}
        given = {key: self._overrides(key) for key in keys - {self.switch.flag}}
        return Assignments(
            self.switch,
            self._snapshot,
            override=self._override,
            blind=self._blind,
            when_blind=self._when_blind,
            overrides={key: variant for key, variant in given.items() if variant is not None},
        )
