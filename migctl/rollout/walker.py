"""Walker: takes a rollout from stage to stage. It reads, asks the walk for the one thing to do, does it, and reads again.

What it knows is in the record: killed between any two writes it goes on from where they stood. It keeps a lease, without which it
does nothing; a share rises in one transaction with the state that says so, at the version and under the fence that it read.

| it meets | it does |
|---|---|
| the record away | waits, says so, goes on |
| another walker's lease | ends: exit 4, with its name |
| `aborted`, or a pause by a person as it begins | ends: exit 1, names `resume` |
| a pause by a person while it runs | stays: gates go on judging, and may roll back; a `resume` is noticed |
| a write by somebody else | reads again |
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from migctl import clock
from migctl.errors import MigctlError, Refused, Usage, Wanting
from migctl.events.ids import uuid7
from migctl.flags.record import Changed, Unshown
from migctl.resilience import within
from migctl.rollout import walk
from migctl.rollout.drills import Drilled, missing
from migctl.rollout.marking import missed, unheard
from migctl.rollout.opening import brake_id, braked, is_open, marker_id, soaked, under
from migctl.rollout.ports import Down, Flags, Held, Ledger, Observed, Serves
from migctl.rollout.walk import Action, Facts, Mark, Open, Roll, State, Step, Wait, Write
from migctl.rollout.wording import words
from migctl.telemetry import get_logger
from migctl.validate.witness.minute import Minute

POLL_S = 1.0
# A lease of so long, renewed in each round; what goes down does so only well within it.
LEASE_S = 15.0
SAFE_S = 10.0
# Windows of one minute may become worse for so long: two witnesses, one of which was cut off.
READ_BACK = 30
GO_ON = "`migctl rollout resume` goes on"

log = get_logger("rollout")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened, for people and machines. state: as it is now; None before the first."""

    at: datetime
    what: str
    state: State | None
    left_s: float | None = None


@dataclass(slots=True)
class Walker:
    """steps: in order, those that are walked. drilled: what was drilled, read again in each round. config: digest of the
    present configuration.

    reason: of the person who let it walk, for the audit. without_drills: why the drills that a stage asks for are gone without.
    notify: called with what happens, each thing once.
    """

    ledger: Ledger
    serves: Serves
    down: Down
    steps: Sequence[Step]
    drilled: Callable[[], Sequence[Drilled]]
    config: str
    reason: str
    without_drills: str | None = None
    notify: Callable[[Line], None] = lambda _: None
    poll_s: float = POLL_S
    new_id: Callable[[], str] = uuid7
    _minutes: dict[datetime, Minute] = field(default_factory=dict)
    _marker: tuple[int, str] | None = None  # the version at which it was placed, and where
    _known: tuple[State, ...] = ()  # what was read last, and what this walker tried to write then
    _notified: str = ""

    async def run(self, stop: asyncio.Event) -> State | None:
        """Until every stage has passed: the last state. None where `stop` ended it.

        Raises Wanting where it was aborted, or begins in a pause by a person; Refused where another walker has the lease.
        """
        is_first = True
        while not stop.is_set():
            try:
                done = await self._round(is_first=is_first)
                is_first = False
            except (Wanting, Refused, Usage):
                raise
            except MigctlError as error:
                self._notify(f"waits: {error.what}", self._known[-1] if self._known else None)
                await within(self.poll_s, stop.wait())
                continue
            if isinstance(done, State):
                return done
            if isinstance(done, Wait):
                await within(self.poll_s, stop.wait())
        return None

    async def _round(self, *, is_first: bool) -> Action | State:
        """One thing. The flags are read before the lease and the state: a raise finds what came after them."""
        flags = await self.ledger.flags()
        held_at = clock.mono()
        held = await self.ledger.hold()
        state = held.state
        if state is None:
            now, first, step_id = clock.now(), self.steps[0].stage, self.new_id()
            begun = under(None, flags.brakes, first, step_id, now) or walk.begun(0, first, step_id, now)
            begun = msgspec.structs.replace(begun, version=held.version + 1)
            return await self._do(Write(begun), begun, self.steps[0], flags, held, held_at)
        self._hear(state)
        own = brake_id(state)  # of a gate that failed: the walk says that itself
        others = [brake for brake in flags.brakes if brake.id != own]
        stands = under(state, others, state.stage, state.step_id, clock.now())
        if stands is not None and stands is not state:
            step = self.steps[self._index(state)]
            return await self._do(Write(stands), state, step, flags, held, held_at)
        self._end(state, is_first=is_first)
        if state.phase == "done":
            return state
        index = self._index(state)
        step = self.steps[index]
        following = self.steps[index + 1] if index + 1 < len(self.steps) else None
        facts = await self._facts(state, step, flags)
        action = walk.advance(state, soaked(state, step), following, facts, clock.now(), self.new_id())
        return await self._do(action, state, step, flags, held, held_at)

    def _hear(self, state: State) -> None:
        if self._known and state not in self._known:
            self._notify(f"somebody else wrote: {state.phase}: {words(state)}", state)
        self._known = (state,)

    def _end(self, state: State, *, is_first: bool) -> None:
        """Raise where nothing but a person takes it further."""
        if state.phase == "aborted":
            raise Wanting(
                f"the rollout is aborted at {state.stage}: {state.reason or 'no reason'}",
                do=f"see why: `migctl rollout status`; {GO_ON} with the last stage that passed",
            )
        if is_first and state.phase == "paused" and state.paused == "person":
            raise Wanting(
                f"the rollout is paused at {state.stage} by a person: {state.reason or 'no reason'}",
                do=f"see whether its reason is gone; {GO_ON}",
            )

    def _index(self, state: State) -> int:
        for index, step in enumerate(self.steps):
            if step.stage == state.stage:
                return index
        known = ", ".join(step.stage for step in self.steps)
        raise Usage(
            f"the rollout is in stage {state.stage}, and this walk has {known}",
            do="2c is `migctl rollout complete`; else give this walk the stages that it was begun with",
        )

    async def _facts(self, state: State, step: Step, flags: Flags) -> Facts:
        observed = await self._observe()
        minutes = await self._evidence(state, step)
        marker = state.marker
        if self._marker is not None and self._marker[0] == state.version:
            marker = self._marker[1]
        released = set(observed.markers.get(marker or "", ()))
        for minute in self._minutes.values():
            released.update(minute.markers.get(marker or "", ()))
        shares, opens = flags.shares, soaked(state, step)
        own = (brake_id(state),)
        return Facts(
            minutes=minutes,
            moved=observed.moved is True,
            epoch=observed.epoch,
            marker=marker,
            released=frozenset(released),
            unheard=unheard(observed.heard_from),
            missed=missed(marker, observed.heard_from) - released,
            braked=flags.closed or (braked(shares, flags.brakes, opens, own=own) if shares else None),
            share=shares is not None and is_open(shares, opens),
            withheld=self._withheld(step),
        )

    def _withheld(self, step: Step) -> str | None:
        why = missing(step, self.drilled(), clock.now(), self.config)
        if why is None or self.without_drills is not None:
            return None
        return f"{why}: run it, or go on with `--without-drills --reason WHY`"

    async def _observe(self) -> Observed:
        try:
            return await self.serves.observe()
        except MigctlError as error:
            # A soak goes by its evidence; who needs a serve finds that out by asking it.
            log.debug("no serve answers", reason=error.what)
            return Observed("", None, {})

    async def _evidence(self, state: State, step: Step) -> list[Minute]:
        """Of this step. What was read stays; the latest windows are read again."""
        begin = state.soak_from or state.since
        # The marker may have been released in the window that was open as it was placed.
        begin -= timedelta(seconds=2 * step.window_s + step.settle_timeout_s)
        self._minutes = {at: minute for at, minute in self._minutes.items() if at >= begin}
        since = begin
        if self._minutes:
            since = max(begin, max(self._minutes) - timedelta(seconds=READ_BACK * step.window_s))
        for minute in await self.ledger.minutes(since):
            self._minutes[minute.started_at] = minute
        return [self._minutes[at] for at in sorted(self._minutes)]

    async def _do(
        self, action: Action, state: State, step: Step, flags: Flags, held: Held, held_at: float
    ) -> Action | State:
        try:
            if isinstance(action, Wait):
                self._notify(f"waits: {action.reason}", state, action.left_s)
            elif isinstance(action, Mark):
                epoch = (await self.serves.observe()).epoch
                position = await self.serves.mark(marker_id(state, epoch), state.step_id)
                self._marker = (state.version, position)
                self._notify(f"marker at {position}", state)
            elif isinstance(action, Open):
                await self._open(action, state, step, flags, held)
            elif isinstance(action, Roll):
                await self._roll(action, state, held, held_at)
            else:
                await self._write(action.state, state, held)
        except Changed:
            self._notified = ""
            self._notify("somebody changed it meanwhile: it is read again", state)
        return action

    async def _open(self, action: Open, state: State, step: Step, flags: Flags, held: Held) -> None:
        try:
            self._known = (state, action.state)
            opens = soaked(state, step)
            await self.ledger.open(action.state, opens, flags, held, reason=self.reason)
            self._notify(f"opened {step.stage}: {share_of(opens)}", action.state)
        except Unshown as error:
            # A lease that was taken refuses in the same way; then this raises.
            await self.ledger.hold()
            pausing = walk.braked(state, error.what, clock.now())
            await self._write(pausing, state, held)

    async def _roll(self, action: Roll, state: State, held: Held, held_at: float) -> None:
        """Down first, then the word for it."""
        if clock.mono() - held_at > SAFE_S:
            return  # held up for so long that the lease may be another's: from the beginning
        reason = action.state.reason or "a gate failed"
        self._notify(f"rolls back: {reason}", state)
        became = await self.down.roll(brake_id(state), reason)
        self._notify(became, state)
        await self._write(action.state, state, held)

    async def _write(self, state: State, before: State, held: Held) -> None:
        self._known = (before, state)
        action, reason = _audited(state, before), state.reason or self.reason
        if self.without_drills is not None and before.phase == "judged" and state.phase == "moving":
            action, reason = "without_drills", self.without_drills
        try:
            await self.ledger.write(state, held, action=action, reason=reason)
        except Unshown:
            await self.ledger.hold()  # whose it is now stands in what this raises
            raise Refused(
                "another walker had the lease meanwhile", do="let one walk: `migctl rollout status`"
            ) from None
        self._notify(words(state), state)

    def _notify(self, what: str, state: State | None, left_s: float | None = None) -> None:
        """Each thing once, however often it is met in a row."""
        if what != self._notified:
            self._notified = what
            self.notify(Line(clock.now(), what, state, left_s))


def share_of(step: Step) -> str:
    """`25 % of all, 100 % of internal`."""
    return ", ".join(
        [
            f"{step.percent:g} % of all",
            *(f"{percent:g} % of {name}" for name, percent in step.segments.items()),
        ]
    )


def _audited(state: State, before: State) -> str:
    if state.step_id != before.step_id or state.phase == before.phase == "moving":
        return "begin"
    return "pause" if state.phase == "paused" else "abort" if state.phase == "aborted" else state.phase
