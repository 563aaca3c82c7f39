"""Moves: what each command of `migctl rollout` does, from what is known to what became of it.

A move says first what it would do (Proposed), and goes on where whoever is asked agrees; going down asks nobody.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import uuid4

import msgspec

from migctl import clock
from migctl.config import Settings
from migctl.config.digest import delivery_digest
from migctl.errors import MigctlError, Usage, Wanting
from migctl.events import format_time
from migctl.flags.authoring import unshown
from migctl.flags.definitions import FlagSet
from migctl.flags.editing import Edit, with_step, written
from migctl.flags.segments import missing_segments, segments_of
from migctl.flags.shares import ALL, EVERYTHING
from migctl.flags.snapshot import Snapshot
from migctl.rollout import drills, walk
from migctl.rollout import steps as pure
from migctl.rollout.judgement import Judgement
from migctl.rollout.opening import is_open, soaked, wanted
from migctl.rollout.reopening import reopened
from migctl.rollout.standing import Gated, counts_from, gated
from migctl.rollout.steps import Direction
from migctl.rollout.walk import State
from migctl.runtime.flags import TRANSPORT, first_flags, step_edit
from migctl.runtime.rollout import SOON_S, Control, control
from migctl.runtime.rollout_known import Done, Standing, require
from migctl.runtime.rollout_wish import Effect, Proposed, Wish
from migctl.validate.witness.minute import Minute

# Before the first stage there is no soak: so much of what the witness saw is judged.
BEFORE_MINUTES = 60
OPEN_AGAIN = "the WebSocket is open again: at once where serve runs in mode dual, else with its next start"


async def set_share(settings: Settings, percent: float, split: str, wish: Wish) -> Effect:
    """Raise or lower the share of all, or of a segment. Raises Wanting, Usage, Refused, and for a raise Transient, Systemic."""
    async with control(settings, wish.notify, start=False) as at:
        closes = percent == 0 and split == ALL
        standing = await (at.read_to_close() if closes else at.read(within_s=SOON_S))
        known = standing.all_effective
        if standing.basis is not None or known:
            way = _direction(standing, percent, split)
            _check_segment(standing, split, way)
            if way == "down" or (standing.basis is not None and wish.wrong is None):
                return await _set(at, standing, way, percent, split, wish)
    if wish.wrong is not None:
        raise wish.wrong
    async with control(settings, wish.notify) as at:
        standing = await at.read(processes=False)
        require(standing)
        way = _direction(standing, percent, split)
        _check_segment(standing, split, way)
        return await _set(at, standing, way, percent, split, wish)


async def _set(
    at: Control, standing: Standing, way: Direction, percent: float, split: str, wish: Wish
) -> Effect:
    command = f"set {percent:g}" + (f" of segment {split}" if split != ALL else "")
    before = max((shares.of(split) for shares in standing.all_effective), default=None)
    state = standing.state
    make = at.by_hand(percent, split, wish.reason or f"{command} by hand")
    if way == "down":
        proposed = Proposed(command, at.where, way, split, before, percent, stage_before=_stage(state))
        wish.asking(proposed)
        if wish.dry_run:
            return Effect(proposed, None)
        done = await at.pull(percent, split, actor=wish.actor, reason=wish.reason, stage=make, action="set")
        return Effect(proposed, done)
    if way == "same":
        return await _same(at, standing, Proposed(command, at.where, way, split, before, percent), wish)
    if standing.unreadable is not None:
        raise standing.unreadable
    if standing.disabled:
        raise Wanting(
            f"the flag {TRANSPORT.flag} is disabled on {at.where}: whatever its share, nobody gets Realtime",
            do="see why: `migctl flags history`; then `migctl flags enable transport`",
        )
    proposed = Proposed(
        command, at.where, way, split, before, percent, standing.brakes, _stage(state), make(state).stage,
        await gates_of(at, standing),
    )  # fmt: skip
    shown = wish.asking(proposed)
    if wish.dry_run:
        return Effect(proposed, None)
    check_shown(standing, shown)
    done = await at.open(
        standing, _share_edit(percent, split), make(state),
        action="set", actor=wish.actor, reason=wish.reason, shown=shown,
    )  # fmt: skip
    return Effect(proposed, done)


async def _same(at: Control, standing: Standing, proposed: Proposed, wish: Wish) -> Effect:
    """Nothing is written; but whoever did not hear it the last time does now."""
    if wish.dry_run:
        return Effect(proposed, None)
    snapshot = Snapshot(target=at.name, brakes={one.id: one for one in standing.live})
    if standing.basis is not None and standing.basis.known.rows:
        snapshot = standing.snapshot
    return Effect(proposed, Done(await at.hands.hand(snapshot)))


async def abort(settings: Settings, wish: Wish) -> Effect:
    """Nobody has Realtime any more, at once, whatever is away. Asks nobody, and reads nothing first."""
    async with control(settings, wish.notify, start=False) as at:
        proposed = Proposed("abort", at.where, "down", EVERYTHING, None, 0.0)
        wish.asking(proposed)
        if wish.dry_run:
            return Effect(proposed, None)
        done = await at.pull(
            0.0, EVERYTHING, actor=wish.actor, reason=wish.reason,
            stage=at.stopped(wish.reason or "aborted by hand"), action="abort",
        )  # fmt: skip
        return Effect(proposed, done)


async def revert(settings: Settings, wish: Wish) -> Effect:
    """The share of the step before, at once. Where the record is away the step is known by the share."""
    from migctl.runtime.rollout_complete import (
        known_whole,  # it loads the server, for which an abort need not wait
    )

    async with control(settings, wish.notify, start=False) as at:
        standing = await known_whole(at, await at.read(within_s=SOON_S))
        if standing.state is not None and standing.state.completing is not None:
            after = reopened(standing.state, wish.reason or OPEN_AGAIN, clock.now())
            proposed = Proposed("revert", at.where, "same", stage_before=after.stage, stage=after.stage)
            if not wish.dry_run:
                await at.move_shown(standing, after, action="reopen", actor=wish.actor, reason=wish.reason)
                wish.notify(OPEN_AGAIN)
            return Effect(proposed, None if wish.dry_run else Done(state=after))
        known = standing.all_effective
        now = max((shares.percent for shares in known), default=0.0)
        stage = standing.state.stage if standing.state is not None else pure.at_or_below(now, at.steps).stage
        earlier = pure.before(stage, at.steps)
        percent = earlier.percent if earlier is not None else 0.0
        split = ALL if earlier is not None or now > 0 else next(iter(at.steps[0].segments), ALL)
        reason = wish.reason or f"back from {stage}"
        name = earlier.stage if earlier is not None else at.steps[0].stage
        if max((shares.of(split) for shares in known), default=0.0) <= percent:
            proposed = Proposed(
                "revert", at.where, "same", split, now, percent, stage_before=stage, stage=name
            )
            return await _same(at, standing, proposed, wish)
        proposed = Proposed("revert", at.where, "down", split, now, percent, stage_before=stage, stage=name)
        wish.asking(proposed)
        if wish.dry_run:
            return Effect(proposed, None)

        def make(state: State | None) -> State:
            return walk.set_by_hand(state, name, str(uuid4()), reason, clock.now())

        done = await at.pull(percent, split, actor=wish.actor, reason=reason, stage=make, action="revert")
        return Effect(proposed, done)


async def pause(settings: Settings, wish: Wish) -> Effect:
    """The walk stops where it is; shares stay. Raises Wanting where there is nothing to pause, Transient, Systemic."""
    async with control(settings, wish.notify) as at:
        standing, state = await _state(at)
        if state.paused == "person":
            proposed = Proposed("pause", at.where, "same", stage_before=state.stage, stage=state.stage)
            return Effect(proposed, Done(state=state))
        try:
            after = walk.paused(state, wish.reason or f"paused by {wish.actor}", clock.now())
        except ValueError as error:
            raise Wanting(f"there is nothing to pause: {error}", do="see `migctl rollout status`") from None
        proposed = Proposed("pause", at.where, "same", stage_before=state.stage, stage=state.stage)
        if wish.dry_run:
            return Effect(proposed, None)
        await at.move_shown(standing, after, action="pause", actor=wish.actor, reason=wish.reason)
        return Effect(proposed, Done(state=after))


async def resume(settings: Settings, wish: Wish) -> Effect:
    """Go on from a pause, or begin the last step that passed after an abort. Raises as `promote`."""
    async with control(settings, wish.notify) as at:
        standing, state = await _state(at)
        try:
            after = walk.resumed(state, at.steps[0].stage, str(uuid4()), clock.now())
        except ValueError as error:
            raise Wanting(str(error), do="see `migctl rollout status`") from None
        step = at.steps[pure.index_of(after.stage, at.steps)]
        again = state.phase == "aborted"
        before, stands, opens = standing.effective, standing.written, soaked(after, step)
        if again or stands is None:
            percent, segments = opens.percent, dict(opens.segments)
        else:
            percent, segments = wanted(stands, opens)
        # Of the brakes at or above what is written nobody gets more; they end too, or the next stage would meet them.
        raises = again or bool(standing.brakes) or (stands is not None and not is_open(stands, opens))
        proposed = Proposed(
            "resume", at.where, "up" if raises else "same", ALL, before.percent if before else None, percent,
            standing.brakes, state.stage, after.stage, await gates_of(at, standing),
        )  # fmt: skip
        shown = wish.asking(proposed)
        if wish.dry_run:
            return Effect(proposed, None)
        check_shown(standing, shown)
        reason = wish.reason or "resume"
        if not raises and not standing.live:
            await at.move_shown(standing, after, action="resume", actor=wish.actor, reason=reason)
            return Effect(proposed, Done(state=after))
        edit = _as_it_is if not again and stands is None else step_edit(percent, segments)
        done = await at.open(
            standing, edit, after, action="resume", actor=wish.actor, reason=reason, shown=shown
        )
        return Effect(proposed, done)


async def promote(settings: Settings, wish: Wish, *, force: bool) -> Effect:
    """Begin the next step, where every gate of this one passes. Raises Wanting where not, Changed, Unshown, Transient, Systemic.

    force: also where they don't; the reason goes into the audit.
    """
    async with control(settings, wish.notify) as at:
        standing, state = await _state(at)
        if state.phase in ("aborted", "done"):
            raise Wanting(
                f"the rollout is {state.phase}: nothing is promoted",
                do="`migctl rollout resume`" if state.phase == "aborted" else "`migctl rollout complete`",
            )
        step = at.steps[pure.index_of(state.stage, at.steps)]
        following = pure.following(state.stage, at.steps)
        if following is None:
            raise Wanting(f"{state.stage} is the last step", do="go on with `migctl rollout complete`")
        of = await gates_of(at, standing)
        wanting = list(of.wanting) if of is not None else ["the evidence can't be read"]
        lacking = drills.missing(step, drills.read(settings.state), clock.now(), delivery_digest(settings))
        wanting += [lacking] if lacking is not None else []
        before = standing.effective
        proposed = Proposed(
            "promote", at.where, "up", ALL, before.percent if before else None, following.percent, standing.brakes,
            state.stage, following.stage, of, wanting,
        )  # fmt: skip
        shown = wish.asking(proposed)
        if wanting and not force:
            raise Wanting(
                f"{state.stage} on {at.where} is not promoted: " + "; ".join(wanting),
                do="wait for the evidence; or `migctl rollout promote --force --reason WHY`, which is audited",
            )
        if wish.dry_run:
            return Effect(proposed, None)
        check_shown(standing, shown)
        passed = (*(name for name in state.passed if name != step.stage), *(() if wanting else (step.stage,)))
        reason = wish.reason or "its gates pass"
        after = walk.begun(
            state.version, following.stage, str(uuid4()), clock.now(), passed=passed,
            reason=f"forced: {reason}" if wanting else None,
        )  # fmt: skip
        if of is not None:
            by = Judgement(stage=step.stage, verdict=of.verdict, gates=tuple(of.gates))
            after = msgspec.structs.replace(after, judgement=by)
        action = "promote-forced" if wanting else "promote"
        opened = (following.percent, dict(following.segments))
        if standing.written is not None:
            opened = wanted(standing.written, following)  # who was given more by hand keeps it
        edit = step_edit(*opened)
        done = await at.open(
            standing, edit, after, action=action, actor=wish.actor, reason=reason, shown=shown
        )
        return Effect(proposed, done)


async def gates_of(at: Control, standing: Standing) -> Gated | None:
    """What the gates of the stage say now; None where the evidence can't be read."""
    if at.record is None or standing.basis is None:
        return None
    state, now = standing.state, clock.now()
    begin = counts_from(state) or now - timedelta(minutes=BEFORE_MINUTES)
    step = at.steps[pure.index_of(state.stage, at.steps) if state is not None else 0]
    try:
        minutes = [one async for one in at.record.minutes(Minute, since=format_time(begin))]
    except MigctlError:
        return None
    return gated(step, state, minutes, now)


def check_shown(standing: Standing, shown: Collection[str]) -> None:
    """Raises Wanting where a brake that would be ended was not looked at."""
    error = unshown([brake for brake in standing.brakes if brake.id not in shown])
    if error is not None:
        raise error


async def _state(at: Control) -> tuple[Standing, State]:
    standing = await at.read(processes=False)
    require(standing)
    if standing.unreadable is not None:
        raise standing.unreadable
    if standing.state is None:
        raise Wanting(
            f"no rollout has begun on {at.where}",
            do="begin it: `migctl rollout set N --reason WHY`, or `migctl rollout run`",
        )
    return standing, standing.state


def _direction(standing: Standing, percent: float, split: str) -> Direction:
    known = standing.all_effective
    if not known:
        # A rule of somebody's own: no brake can raise it.
        return "down" if standing.basis is not None else "up"
    return pure.direction(percent, known, split)


def _share_edit(percent: float, split: str) -> Edit:
    first = first_flags()

    def edit(flag_set: FlagSet) -> FlagSet:
        if split == ALL:
            return with_step(flag_set, TRANSPORT, percent, {}, first=first)
        return with_step(
            flag_set, TRANSPORT, written(flag_set, TRANSPORT).percent, {split: percent}, first=first
        )

    return edit


def _check_segment(standing: Standing, split: str, way: Direction) -> None:
    """Raises Usage for a segment that nobody has defined. A raise brings those that come with migctl.

    A brake needs it there already; where no flag set is known, it goes by its name.
    """
    flag_set = standing.flag_set
    if split == ALL or not missing_segments(flag_set, [split]) or (way == "down" and not flag_set.flags):
        return
    known = (
        segments_of(flag_set) if way == "down" else {**segments_of(first_flags()), **segments_of(flag_set)}
    )
    if split not in known:
        raise Usage(
            f"there is no segment {split!r}; known: {', '.join(known) or 'none'}",
            do="define it: `migctl flags import` a file of segments",
        )


def _as_it_is(flag_set: FlagSet) -> FlagSet:
    return flag_set


def _stage(state: State | None) -> str | None:
    return state.stage if state is not None else None
