"""Flags from outside a `serve`: what a command reads and writes of them, and where it has it from.

Reading works with stores away: what the next best has is shown, and which that was. Writing needs the record.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from migctl.config import Settings, Target, flag
from migctl.errors import MigctlError, Refused, Systemic, Transient
from migctl.flags.assignment import Assignments
from migctl.flags.authoring import Author, Basis, Written
from migctl.flags.definitions import FlagSet
from migctl.flags.disk import SnapshotFile
from migctl.flags.editing import Edit
from migctl.flags.files import read_file
from migctl.flags.hearing import HEAR
from migctl.flags.record import Audited, Record, target_name
from migctl.flags.snapshot import Brake, Row, Snapshot, flag_sets, merged
from migctl.runtime.flags import TRANSPORT, flags_file
from migctl.runtime.target import resolve
from migctl.serve_client.control import reached

if TYPE_CHECKING:
    from migctl.flags.redis_store import RedisStore


TierName = Literal["record", "redis", "disk", "file"]


@dataclass(frozen=True, slots=True)
class Shown:
    """What is known of flags. tier: what the flag set is from. away: why the record could not say it; None where it did."""

    where: str
    snapshot: Snapshot
    tier: TierName
    away: MigctlError | None = None

    @property
    def flag_set(self) -> FlagSet:
        found = flag_sets(self.snapshot)
        return found[0] if found else FlagSet()

    @property
    def brakes(self) -> list[Brake]:
        return self.snapshot.live_brakes()

    def assignments(self) -> Assignments:
        """As a `serve` with this in hand would answer, under this environment."""
        others = {key: value for key in self.flag_set.flags if (value := flag(key)) is not None}
        override = others.pop(TRANSPORT.flag, None) or flag(TRANSPORT.flag)
        return Assignments(TRANSPORT, self.snapshot, override=override, overrides=others)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where flags of one target are read and written."""

    settings: Settings
    target: Target
    record: Record
    author: Author
    redis: RedisStore | None
    kept: Snapshot

    async def read(self) -> Shown:
        """The record's; with it away the next best. Raises Transient, Systemic where nothing is known at all."""
        try:
            contents = await self.record.read()
        except (Transient, Systemic) as error:
            return await self._next_best(error)
        snapshot = merged(self.kept, contents.snapshot)
        return Shown(self.target.name, snapshot, "record" if contents.n == snapshot.n else "disk")

    async def _next_best(self, error: MigctlError) -> Shown:
        held, tier = self.kept, "disk"
        if self.redis is not None:
            try:
                has = await self.redis.read()
            except MigctlError:
                has = Snapshot(target=held.target)
            tier = "redis" if has.n > held.n else "disk"
            held = merged(held, has)
        if held == Snapshot(target=held.target):
            raise error
        return Shown(self.target.name, held, "redis" if tier == "redis" else "disk", error)

    async def write(
        self, basis: Basis, edit: Edit, *, actor: str, reason: str, shown: Collection[str] = ()
    ) -> Written:
        """Write to the record, and push. Raises Changed, Unshown, Usage, Transient, Systemic."""
        written = await self.author.write(basis, edit, actor=actor, reason=reason, shown=shown)
        await self.push(written.row)
        return written

    async def push(self, row: Row) -> None:
        """Send it to Redis and the `serve` of this folder at once; who gets it from neither asks the record by itself."""
        news = Snapshot(target=self.record.name).with_row(row)
        # Hints both: processes that have lost Redis poll the record, and here none may run.
        if self.redis is not None:
            with suppress(MigctlError):
                await self.redis.merge(news)
        with suppress(MigctlError):
            async with reached(self.settings.state) as http:
                await http.post(HEAR, msgspec.json.encode(news))

    async def history(self, limit: int, part: str | None = None) -> list[Audited]:
        """What was done to flags, the newest first. part: as in the record."""
        return [one async for one in self.record.history(part=part, actions=("flags.*",), limit=limit)]


@asynccontextmanager
async def desk(settings: Settings, notify: Callable[[str], None]) -> AsyncIterator[Desk]:
    """Raises Usage where the target lacks its service key, Refused where there is no target and a file is the record."""
    if file_is_record(settings):
        raise Refused(
            f"without a target {flags_file(settings)} is the record of flags, and who edits it changes them",
            do="edit the file; a running serve sees it within a second",
        )
    target = await resolve(settings, need=("service_role_key",), notify=notify)
    name = target_name(settings, target)
    kept = SnapshotFile(settings.state).read(name)
    record = Record(target, settings.supabase.schema_, name)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(record.aclose)
        redis = None
        if target.redis_url:
            from migctl.flags.redis_store import RedisStore

            redis = RedisStore(target.redis_url, name, nobody_hears)
        if redis is not None:
            stack.push_async_callback(redis.aclose)
        yield Desk(settings, target, record, Author(record, TRANSPORT, kept), redis, kept)


async def read(settings: Settings, notify: Callable[[str], None]) -> Shown:
    """What is known of flags, whatever is away. Raises where nothing is."""
    if file_is_record(settings):
        path = flags_file(settings)
        row = Row(n=1, id="file", document=read_file(path).document(), by="file", reason=str(path))
        return Shown(str(path), Snapshot(target="file").with_row(row), "file")
    async with desk(settings, notify) as at:
        return await at.read()


def file_is_record(settings: Settings) -> bool:
    """Mode websocket without a target: nothing but the file says who has what."""
    return settings.mode == "websocket" and settings.supabase.url is None


async def nobody_hears(_: Snapshot) -> None:
    """A command asks by itself."""
