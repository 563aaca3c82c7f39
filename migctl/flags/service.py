"""Service: the flags of one process that serves: held, followed, handed on, and said.

It holds what its disk has, follows the record (or a file) and Redis, and hands on what one of them lacks: everything to Redis,
which is a cache, and brakes to the record. With all of them away it goes on with what it holds, and takes brakes by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import msgspec

from migctl import clock
from migctl.errors import MigctlError
from migctl.flags.assignment import Assigned, Assignments, Placed, Switch
from migctl.flags.authoring import Author
from migctl.flags.exposure import Exposure, Exposures
from migctl.flags.holder import Holder
from migctl.flags.kept import Keeper, Kept, keep_drawn, kept_by
from migctl.flags.logic import TARGETING_KEY, Context
from migctl.flags.record import Record
from migctl.flags.registration import Registration
from migctl.flags.shares import Shares, shares_of
from migctl.flags.snapshot import Brake, Snapshot, lacks, merged
from migctl.flags.tiers import FileTier, RecordTier, Tier
from migctl.resilience import Backoff, Connection, News, Retry, within
from migctl.status.flags import (
    BrakeStatus,
    FlagProcessStatus,
    FlagsStatus,
    FlagTierName,
    FlagTierStatus,
    SharesStatus,
)
from migctl.telemetry import get_logger

if TYPE_CHECKING:
    from migctl.flags.redis_store import RedisStore

# How long the start waits for a first answer of the record, and a clean stop for its last.
FIRST_ANSWER_S = 1.0

log = get_logger("flags")


class Answered(Protocol):
    """What a user was answered. n: of the flag set; 0 where none said so."""

    @property
    def variant(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def n(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Heard:
    """What a process says to whoever handed it a brake. why: where it does not confirm."""

    confirmed: bool
    n: int
    why: str | None = None


class FlagService:
    """Of one process. only: the one transport of a mode that has one; nobody is sent to another.

    Exactly one of record and file is the record; None for both: what was kept, for ever. redis_url: None without Redis.
    """

    def __init__(
        self,
        holder: Holder,
        registration: Registration,
        *,
        record: Record | None = None,
        file: FileTier | None = None,
        redis_url: str | None = None,
        only: str | None = None,
    ) -> None:
        self.holder = holder
        self.registration = registration
        self._record = record
        self._only = only
        self._exposures: Exposures | None = None
        self._keeper: Keeper | None = None
        self._to_redis, self._to_record = News(), News()
        self._redis_has: Snapshot | None = None
        self._redis: RedisStore | None = None
        if redis_url is not None:
            from migctl.flags.redis_store import RedisStore  # slow to import, and not everybody has one

            target = holder.snapshot.target
            self._redis = RedisStore(redis_url, target, self._from_redis, self._redis_noticed)
        self._of_record = (
            RecordTier(record, holder, registration, pushed=self._is_pushed, read=self._noticed)
            if record is not None
            else None
        )
        self._file = file

    @property
    def assignments(self) -> Assignments:
        """What holds now; `holder.changed` wakes whoever waits for the next."""
        return self.holder.assignments

    @property
    def changed(self) -> News:
        """Woken by each change of what holds."""
        return self.holder.changed

    @property
    def record(self) -> Record | None:
        """None where a file is the record."""
        return self._record

    @property
    def file_path(self) -> Path | None:
        """The file that is the record; None where there is a target."""
        return self._file.path if self._file is not None else None

    def author(self) -> Author | None:
        """Writes to the record, knowing what is held now; None where a file is the record."""
        if self._record is None:
            return None
        return Author(self._record, self.holder.switch, self.holder.snapshot)

    def assign(self, user: str, attributes: Mapping[str, object] = MappingProxyType({})) -> Assigned:
        """Which transport. Never raises, whatever is down."""
        assignments = self.holder.assignments
        kept = None
        if self._keeper is not None:
            kept = self.kept(assignments, assignments.switch.flag, {**attributes, TARGETING_KEY: user})
        found = assignments.assign(user, attributes, kept)
        if self._only is not None and found.variant != self._only:
            return Assigned(self._only, "STATIC", 0)
        return found

    def keep_exposures(self, exposures: Exposures) -> None:
        """From now on it is handed what users are served."""
        self._exposures = exposures

    def keep_variants(self, keeper: Keeper) -> None:
        """From now on it is handed what users got by a percentage, and asked what they keep."""
        self._keeper = keeper

    @property
    def is_keeping(self) -> bool:
        """Some flag is sticky."""
        return self._keeper is not None

    def kept(self, of: Assignments, key: str, context: Context) -> str | None:
        """The variant of this flag that the user of this context keeps; None where none is kept."""
        found = kept_by(self._keeper, of, key, context)
        return found.variant if found is not None else None

    def served(self, user: str, answer: Answered, transport: str) -> None:
        """This user was handed what `assign` answered, and sent to this transport."""
        self.served_flag(self.holder.switch.flag, user, {}, answer, transport)

    def served_flag(
        self,
        flag: str,
        user: str,
        attributes: Mapping[str, object],
        answer: Answered,
        transport: str | None = None,
    ) -> None:
        """The same of any flag. Never raises, and waits for nothing."""
        assignments = self.holder.assignments
        drawn: Kept | None = None
        if self._keeper is not None:
            context = {**attributes, TARGETING_KEY: user}
            drawn = keep_drawn(self._keeper, assignments, flag, context, answer.variant, answer.reason)
        if self._exposures is None:
            return

        def placed() -> Placed | None:
            if flag != self.holder.switch.flag:
                return None
            found = assignments.placed(user, attributes)
            if found is None or drawn is None or drawn.percent == found.percent:
                return found
            # Drawn by the share of then, and counted against that.
            return replace(found, percent=drawn.percent, kept=True)

        self._exposures.served(
            Exposure(flag, user, answer.variant, transport, answer.reason, answer.n, placed)
        )

    def restrict(self, only: str | None) -> None:
        """From now on there is one transport only, whatever flags, brakes or a kill switch say; None: both again."""
        self._only = only
        self.holder.changed.wake()

    async def run(self) -> None:
        """Follow and hand on, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for tier in (self._of_record, self._file, self._redis):
                if tier is not None:
                    group.create_task(tier.run(), name=f"flags-{type(tier).__name__}")
            if self._redis is not None:
                group.create_task(
                    _handing(self._to_redis, self._redis_lacks, self._give_redis), name="flags-to-redis"
                )
            if self._record is not None:
                group.create_task(
                    _handing(self._to_record, self._record_lacks, self._give_record), name="flags-to-record"
                )

    async def begin(self) -> None:
        """Before `run`: ask the record once, for no longer than a moment."""
        of = self._of_record or self._file
        if of is not None:
            await within(FIRST_ANSWER_S, of.once())

    async def hear(self, snapshot: Snapshot) -> Heard:
        """What a person hands to this very process, with whatever else down: in force and on disk when this returns.

        Raises OtherTarget where it is not for this target.
        """
        merged(self.holder.snapshot, snapshot)
        try:
            await self.holder.hear(snapshot)
        except MigctlError as error:
            return Heard(False, self.holder.snapshot.n, f"it can't be kept: {error.what}")
        finally:
            self._noticed()
            if self._of_record is not None:
                self._of_record.hurry()
        why = self._why_not(snapshot)
        return Heard(why is None, self.holder.snapshot.n, why)

    def _why_not(self, heard: Snapshot) -> str | None:
        override = self.holder.override
        if override is not None:
            return f"its kill switch says {override}: MIGCTL_FLAG_{self.holder.switch.flag.upper()}"
        if not self.holder.is_durable:
            return "it has no folder to keep it in, and would forget it"
        return bound_by_mode(self._only, self.holder.switch, heard)

    async def end(self) -> None:
        """A clean stop, once `run` has ended: it is taken out of the record, where that answers soon."""
        try:
            if self._record is not None and not await within(FIRST_ANSWER_S, self.registration.end()):
                log.warning("the record does not answer: the next start takes this process out of it")
        except MigctlError as error:
            log.warning("this process stays in the record until its next start", reason=error.what)

    async def aclose(self) -> None:
        """Close the connections."""
        for one in (self._redis, self._record):
            if one is not None:
                await one.aclose()

    def status(self) -> FlagsStatus:
        """For `/api/status` and `GET /admin/flags`."""
        snapshot, assignments, switch = self.holder.snapshot, self.holder.assignments, self.holder.switch
        flag_set = assignments.flag_set
        flag = flag_set.flags.get(switch.flag) if flag_set is not None else None
        written = shares_of(flag, switch.opened, switch.otherwise) if flag is not None else None
        effective = assignments.shares()
        if not self.holder.blind and (flag is None or flag.state == "DISABLED"):
            effective = Shares(switch.opened, switch.otherwise)  # nobody has it
        unkept = self.holder.unkept
        return FlagsStatus(
            process=self.registration.id,
            target=snapshot.target,
            n=snapshot.n,
            written=_shares(written),
            effective=_shares(effective),
            override=self.holder.override,
            blind=self.holder.blind,
            confirms=self.holder.confirms and self.holder.is_kept,
            unkept=unkept.what if unkept is not None else None,
            unreadable_n=snapshot.unreadable_n,
            brakes=[msgspec.convert(msgspec.to_builtins(one), BrakeStatus) for one in snapshot.live_brakes()],
            tiers=self._tiers(),
            processes=[FlagProcessStatus(id=p.id, name=p.name, url=p.url) for p in self.registration.known],
        )

    def _tiers(self) -> dict[FlagTierName, FlagTierStatus]:
        now, wall = clock.mono(), clock.now()
        every: tuple[tuple[FlagTierName, Tier | None], ...] = (
            ("record", self._of_record),
            ("redis", self._redis),
            ("file", self._file),
        )

        def status(of: Connection, heard_at: float | None) -> FlagTierStatus:
            return FlagTierStatus(
                state=of.state,
                since=wall - timedelta(seconds=now - of.since),
                reason=of.reason,
                do=of.do,
                age_s=None if heard_at is None else round(now - heard_at, 1),
            )

        return {name: status(tier.connection, tier.heard_at) for name, tier in every if tier is not None}

    # Redis

    def _is_pushed(self) -> bool:
        return self._redis is not None and self._redis.connected

    def _redis_noticed(self) -> None:
        if self._of_record is not None:
            self._of_record.hurry()  # how often it is asked depends on Redis

    async def _from_redis(self, has: Snapshot) -> None:
        self._redis_has = has
        if await self.holder.follow(has) and self._of_record is not None:
            self._of_record.hurry()
        self._noticed()

    def _redis_lacks(self) -> bool:
        has = self._redis_has
        return self._is_pushed() and has is not None and lacks(has, self.holder.snapshot)

    async def _give_redis(self) -> None:
        assert self._redis is not None
        held = self.holder.snapshot
        await self._redis.merge(held)
        if self._redis_has is not None:
            self._redis_has = merged(self._redis_has, held)

    # The record

    def _missing(self) -> list[Brake]:
        """Brakes that the record does not know of."""
        tier = self._of_record
        if tier is None or tier.has is None or tier.connection.state != "running":
            return []
        has = tier.has
        return [
            brake
            for brake in self.holder.snapshot.brakes.values()
            if brake.id not in has.brakes and brake.id not in has.lifts
        ]

    def _record_lacks(self) -> bool:
        return bool(self._missing())

    async def _give_record(self) -> None:
        assert self._record is not None
        assert self._of_record is not None
        missing = self._missing()
        for brake in missing:
            await self._record.brake(brake, known_n=self.holder.snapshot.n)
        has = self._of_record.has
        if has is not None:
            given = Snapshot(target=has.target, brakes={brake.id: brake for brake in missing})
            self._of_record.has = merged(has, given)

    def _noticed(self) -> None:
        self._to_redis.wake()
        self._to_record.wake()


def bound_by_mode(only: str | None, switch: Switch, heard: Snapshot) -> str | None:
    """Why a brake is not kept to: in a mode that has only what is opened, nobody can be sent elsewhere. None where it is."""
    if only == switch.opened and heard.brakes:
        return f"it serves in mode {only}: its users have no other transport"
    return None


def _shares(of: Shares | None) -> SharesStatus | None:
    if of is None:
        return None
    users = sum(variant == of.opened for variant in of.users.values())
    return SharesStatus(
        percent=of.percent, segments=dict(of.segments), users=users, assigned_percent=of.assigned_percent
    )


async def _handing(news: News, is_due: Callable[[], bool], give: Callable[[], Awaitable[None]]) -> None:
    """Give whenever it is due, until cancelled. Nothing is awaited between the look and the wait: no news are missed."""
    retry = Retry(Backoff(0.1, 2.0))
    while True:
        if not is_due():
            await news.wait()
            continue
        try:
            await give()
        except MigctlError as error:
            if retry.failed(error).number == 1:
                log.warning("flags are not handed on yet", reason=error.what, do=error.do)
            await retry.wait(news)
        else:
            retry.succeeded()
