"""Rollout: what a person does to a share, composed: up by a row of the record, down by a brake that is handed to everybody at once.

Going down waits for nobody: what stands is taken from whoever says it soonest, and the record's own state is moved afterwards,
where it can be. Going up needs the record, at the version that the person saw.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from migctl import clock
from migctl.config import Settings, Target, from_environment, secret
from migctl.errors import MigctlError, Refused, Transient
from migctl.events import format_time
from migctl.flags.authoring import Author, Move
from migctl.flags.disk import ProcessesFile, SnapshotFile
from migctl.flags.editing import Edit, lowered_to
from migctl.flags.record import Audited, Changed, Moved, Record, Rollout, name_of_local, target_name
from migctl.flags.shares import EVERYTHING
from migctl.flags.snapshot import Brake, Snapshot, merged
from migctl.rollout import steps as pure
from migctl.rollout import walk
from migctl.rollout.opening import under
from migctl.rollout.stages import WALKED, Stage, load
from migctl.rollout.standing import state_of
from migctl.rollout.walk import State, Step
from migctl.runtime.flagging import file_is_record, nobody_hears
from migctl.runtime.flags import TRANSPORT, flags_file
from migctl.runtime.handing import Hands
from migctl.runtime.probing import Probed, probe
from migctl.runtime.rollout_known import Done, Standing
from migctl.runtime.target import resolve

if TYPE_CHECKING:
    from migctl.flags.redis_store import RedisStore


# How long going down waits for somebody to say what stands, and for the record to take the new state.
SOON_S = 0.5
STATE_WITHIN_S = 2.0
PATIENT_S = 20.0
MOST_TRIES = 5

ROLLOUT = ("rollout.*", "flags.brake", "flags.forget")


@dataclass
class Control:
    """Of one target. record, redis: None where there is none, or it can't be had now."""

    settings: Settings
    where: str
    name: str
    record: Record | None
    redis: RedisStore | None
    hands: Hands
    token: str | None
    kept: Snapshot

    @cached_property
    def steps(self) -> Sequence[Step]:
        """In the order in which they are walked. Raises Usage where a file is wrong, which is in nobody's way down."""
        return [load(name).step(self.settings.evidence.window_s) for name in WALKED]

    @property
    def author(self) -> Author:
        assert self.record is not None
        own = {one.id: one for one in self.hands.own()}
        return Author(self.record, TRANSPORT, merged(self.kept, Snapshot(target=self.name, brakes=own)))

    def stage(self, name: str) -> Stage:
        """Raises Usage where its file is wrong."""
        return load(name)

    async def read(self, *, within_s: float = PATIENT_S, processes: bool = True) -> Standing:
        """All that can be known within this time. Never raises for who is away."""
        own = self.hands.own()
        held = merged(self.kept, Snapshot(target=self.name, brakes={one.id: one for one in own}))
        listed = ProcessesFile(self.settings.state).read(self.name).known
        basis, rollout, away, probed = None, None, _no_target(), tuple[Probed, ...]()
        tier = "disk"

        async def ask_record() -> None:
            nonlocal basis, rollout, away
            assert self.record is not None
            away = Transient(f"the record: no answer within {within_s:g} s", do="try again")
            try:
                async with asyncio.timeout(within_s):
                    found, at = await asyncio.gather(self.author.read(), self.record.rollout(TRANSPORT.flag))
                basis, rollout, away = found, at, None
            except TimeoutError:
                pass
            except MigctlError as error:
                away = error

        async def ask_redis() -> None:
            nonlocal held, tier
            assert self.redis is not None
            try:
                async with asyncio.timeout(min(within_s, 1.0)):
                    has = await self.redis.read()
            except (TimeoutError, MigctlError):
                return
            tier = "redis" if has.n > held.n else tier
            held = merged(held, has)

        async def ask_processes() -> None:
            nonlocal probed
            probed = await probe(self.settings.state, listed, self.token, within_s=min(within_s, 1.0))

        legs = [ask_record()] if self.record is not None else []
        legs += [ask_redis()] if self.redis is not None else []
        legs += [ask_processes()] if processes else []
        await asyncio.gather(*legs)
        snapshot = merged(held, basis.known) if basis is not None else held
        state, unreadable = None, None
        try:
            state = state_of(rollout.state) if rollout is not None else None
        except MigctlError as error:  # in nobody's way down
            unreadable = error
        if unreadable is None and (basis is not None or state is not None):
            first = WALKED[0]
            state = under(state, snapshot.live_brakes(TRANSPORT.flag), first, str(uuid4()), clock.now())
        if basis is not None:
            tier = "record"
        return Standing(snapshot, tier, basis, away, rollout, state, listed, probed, own, unreadable)

    async def read_to_close(self, *, within_s: float = SOON_S) -> Standing:
        """As `read`; but it ends as soon as the `serve` of this folder gives anybody more than nothing: then 0 is less for certain,
        whatever a record says that is slow, and the brake can go.
        """
        reading = asyncio.create_task(self.read(within_s=within_s))
        asking = asyncio.create_task(probe(self.settings.state, (), self.token, within_s=within_s))
        try:
            await asyncio.wait((reading, asking), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                here = await asking
                if any(one.shares is not None and one.shares.percent > 0 for one in here):
                    own = self.hands.own()
                    held = merged(self.kept, Snapshot(target=self.name, brakes={one.id: one for one in own}))
                    return Standing(held, "disk", probed=here, own=own)
            return await reading
        finally:
            for task in (reading, asking):
                task.cancel()
            await asyncio.gather(reading, asking, return_exceptions=True)

    async def pull(
        self,
        max_percent: float,
        split: str,
        *,
        actor: str,
        reason: str,
        stage: Callable[[State | None], State],
        action: str,
    ) -> Done:
        """Down: a brake, handed to everybody at once; then the state and the row of the lower share, where the record takes them.

        split `everything` is an abort: what is written stays, so that somebody looks at the brake before it ends.
        """
        at = format_time(clock.now())
        brake = Brake(
            id=str(uuid4()), flag=TRANSPORT.flag, max_percent=max_percent, split=split, by=actor, at=at, reason=reason
        )  # fmt: skip
        lower: Edit | None = None
        if split != EVERYTHING:
            lower = lambda of: lowered_to(of, TRANSPORT, split, max_percent)  # noqa: E731
        handed = await self.hands.brake(brake, lower=lower)
        if handed.record is None or not handed.record.has:
            return Done(handed, brake, unmoved="the record is away; a walker pauses by the brake")
        row = asyncio.create_task(self._hand_row()) if lower is not None else None
        try:
            async with asyncio.timeout(STATE_WITHIN_S):
                state = await self.move(stage, action=action, actor=actor, reason=reason)
        except TimeoutError:
            return Done(handed, brake, unmoved=f"the record did not answer within {STATE_WITHIN_S:g} s")
        except MigctlError as error:
            return Done(handed, brake, unmoved=error.what)
        finally:
            if row is not None:
                await row
        return Done(handed, brake, state=state)

    async def _hand_row(self) -> None:
        """Whoever has the brake has the row then too, and is behind nobody: by itself it would read it a little later."""
        assert self.record is not None
        with suppress(MigctlError, TimeoutError):
            async with asyncio.timeout(SOON_S):
                known = (await self.record.read()).snapshot
            await self.hands.hand(known, within_s=SOON_S)

    async def move(
        self, make: Callable[[State | None], State], *, action: str, actor: str, reason: str
    ) -> State:
        """Move the state, whatever it is by then: a person's word. Raises Transient, Systemic, Changed where that never ends."""
        assert self.record is not None
        for _ in range(MOST_TRIES):
            at = await self.record.rollout(TRANSPORT.flag)
            state = make(state_of(at.state))
            try:
                await self.write(at, state, action=action, actor=actor, reason=reason)
            except Changed:
                continue
            return state
        raise Changed("the rollout is changed all the time", do="find out by whom: `migctl rollout history`")

    async def write(self, at: Rollout, state: State, *, action: str, actor: str, reason: str) -> None:
        """Write the state at the version that was read. Raises Changed, Transient, Systemic."""
        assert self.record is not None
        numbered = msgspec.json.encode(msgspec.structs.replace(state, version=at.version + 1))
        await self.record.write_rollout(
            TRANSPORT.flag, numbered, expected=at.version, fence=None, action=action, actor=actor, reason=reason
        )  # fmt: skip

    async def move_shown(
        self, standing: Standing, state: State, *, action: str, actor: str, reason: str
    ) -> None:
        """Move the state that a person was shown. Raises Wanting with who changed it meanwhile, Transient, Systemic."""
        assert standing.rollout is not None
        try:
            await self.write(standing.rollout, state, action=action, actor=actor, reason=reason)
        except Changed:
            raise await self._changed() from None

    async def open(
        self,
        standing: Standing,
        edit: Edit,
        state: State,
        *,
        action: str,
        actor: str,
        reason: str,
        shown: Collection[str],
    ) -> Done:
        """Up: a row of the record and the state, both at what the person was shown, in one transaction; then handed to everybody.

        Raises Changed with who changed it meanwhile, Unshown, Usage, Transient, Systemic.
        """
        assert standing.basis is not None
        assert standing.rollout is not None
        expected = standing.rollout.version
        state = msgspec.structs.replace(state, version=expected + 1)
        move = Move(msgspec.json.encode(state), expected, action)
        try:
            written = await self.author.write(
                standing.basis, edit, actor=actor, reason=reason, shown=shown, move=move
            )
        except Moved:
            raise await self._changed() from None
        self.hands.forget(written.lifted)
        handed = await self.hands.hand(Snapshot(target=self.name).with_row(written.row))
        return Done(handed, written=written, state=state)

    async def _changed(self) -> Changed:
        """Who changed the rollout last."""
        assert self.record is not None
        (last,) = [
            one async for one in self.record.history(part=TRANSPORT.flag, actions=("rollout.*",), limit=1)
        ]
        what = last.action.removeprefix("rollout.")
        return Changed(
            f"the rollout was changed meanwhile: {what} by {last.actor} ({last.reason or 'no reason'})",
            do="look at `migctl rollout status`, and try again",
        )

    def by_hand(self, percent: float, split: str, reason: str) -> Callable[[State | None], State]:
        """The state once a person has set a share: a segment's leaves the stage as it is."""

        def make(state: State | None) -> State:
            stage, share = pure.by_hand(percent, split, state, self.steps)
            return walk.set_by_hand(state, stage, str(uuid4()), reason, clock.now(), share)

        return make

    def stopped(self, reason: str) -> Callable[[State | None], State]:
        """The state once a person has aborted it."""

        def make(state: State | None) -> State:
            now = clock.now()
            first = state or walk.begun(0, self.steps[0].stage, str(uuid4()), now)
            return walk.aborted(first, reason, now)

        return make

    async def history(self, limit: int) -> list[Audited]:
        """What was done to the rollout, brakes among it; the newest first. Raises Transient, Systemic."""
        assert self.record is not None
        return [one async for one in self.record.history(actions=ROLLOUT, limit=limit)]


@asynccontextmanager
async def control(
    settings: Settings, notify: Callable[[str], None], *, start: bool = True
) -> AsyncIterator[Control]:
    """start: an embedded stack that is down is started; without, nothing is waited for, and what is not there is None.

    Raises Refused where a file is the record, Usage where a stage or what was kept can't be read.
    """
    if file_is_record(settings):
        raise Refused(
            f"without a target {flags_file(settings)} is the record of flags, and who edits it changes them",
            do="edit the file; a running serve sees it within a second",
        )
    target = (
        await resolve(settings, need=("service_role_key",), notify=notify) if start else at_hand(settings)
    )
    name = target_name(settings, target) if target is not None else name_of_local(settings)
    token = secret("MIGCTL_TOKEN")
    async with AsyncExitStack() as stack:
        record = redis = None
        if target is not None and target.service_role_key:
            record = Record(target, settings.supabase.schema_, name)
            stack.push_async_callback(record.aclose)
        if target is not None and target.redis_url:
            from migctl.flags.redis_store import (
                RedisStore,  # going down waits for no library that it does not need
            )

            redis = RedisStore(target.redis_url, name, nobody_hears)
            stack.push_async_callback(redis.aclose)
        hands = Hands(settings, name, record=record, redis=redis, token=token)
        where = target.name if target is not None else "the embedded stack, which is down"
        kept = _kept(settings, name, notify if not start else None)
        yield Control(settings, where, name, record, redis, hands, token, kept)


def at_hand(settings: Settings) -> Target | None:
    """The target without starting anything; None where there is no stack yet."""
    target = from_environment(settings)
    if target is not None:
        return target
    from migctl.stack import state

    record = state.read(settings.state)
    return record.target if record is not None else None


def _kept(settings: Settings, name: str, notify: Callable[[str], None] | None) -> Snapshot:
    """What this folder has. notify: called where it can't be read, which is in nobody's way down; None raises Usage."""
    try:
        return SnapshotFile(settings.state).read(name)
    except MigctlError as error:
        if notify is None:
            raise
        notify(f"passed over: {error.what}")
        return Snapshot(target=name)


def _no_target() -> MigctlError | None:
    return Transient(
        "there is no record to ask: the embedded stack is down", do="start it: `migctl stack up`"
    )
