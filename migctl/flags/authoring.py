"""Authoring: an edit becomes the next row of the record, at the version that its author saw, with the brakes that they were shown.

A conflict that did not touch what is edited is tried again by itself; another one is refused with what was changed. An edit by
which anybody gets more goes as `up`: it ends the live brakes of the flag, and is refused where one of them was not shown.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from migctl.errors import Usage
from migctl.flags import changes, editing
from migctl.flags.assignment import Switch
from migctl.flags.definitions import FlagSet, Invalid
from migctl.flags.disk import Process
from migctl.flags.editing import Edit
from migctl.flags.files import checked
from migctl.flags.record import Changed, Moved, Record, Unshown
from migctl.flags.shares import Shares, shares_of
from migctl.flags.snapshot import Brake, Row, Snapshot, flag_sets, merged, to_confirm

# Each is a whole round by somebody else in between; nobody edits so often.
MOST_TRIES = 5


@dataclass(frozen=True, slots=True)
class Basis:
    """What an author is shown. n: of the record, which the write must still find there. known: with what is held elsewhere.

    flag_set: what the next row is made of; empty before the first. brakes: in force on the switch.
    processes: that the record lists.
    """

    n: int
    known: Snapshot
    flag_set: FlagSet
    brakes: tuple[Brake, ...]
    processes: tuple[Process, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """An edit before it is written. raises: whether anybody may get more by it; only then brakes are lifted."""

    before: FlagSet
    after: FlagSet
    raises: bool


@dataclass(frozen=True, slots=True)
class Written:
    """row: as the record has it. lifted: the brakes that it ended."""

    row: Row
    proposal: Proposal
    lifted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """The state that a rollout comes to by a raise, in one transaction with it. expected: its version as it was read."""

    state: bytes
    expected: int
    action: str


class Unusable(Usage):
    """What an edit makes can't be used. path: where that stands in the flag set."""

    def __init__(self, error: Invalid) -> None:
        super().__init__(str(error), do=error.do)
        self.path = ".".join(map(str, error.path))


class Author:
    """Of one record. switch: the flag whose shares are looked after. held: what is known besides, such as this folder's disk."""

    def __init__(self, record: Record, switch: Switch, held: Snapshot | None = None) -> None:
        self._record = record
        self._switch = switch
        self._held = held or Snapshot(target=record.name)

    async def read(self) -> Basis:
        """Raises Transient, Systemic, and Usage where the record went back to a row that can't be read."""
        contents = await self._record.read()
        known = merged(self._held, contents.snapshot)
        found = flag_sets(
            known
        )  # where the newest row can't be read, the last good one: what is written next mends it
        flag_set = found[0] if found else FlagSet()
        if contents.head is not None and contents.n < known.n:
            flag_set = checked(
                contents.head.document
            )  # the record went back: its own row is what the next one is made of
        brakes = tuple(known.live_brakes(self._switch.flag))
        return Basis(contents.n, known, flag_set, brakes, contents.processes)

    def _written(self, flag_set: FlagSet) -> Shares | None:
        flag = flag_set.flags.get(self._switch.flag)
        return shares_of(flag, self._switch.opened, self._switch.otherwise) if flag is not None else None

    def propose(self, basis: Basis, edit: Edit, *, up: bool = False) -> Proposal:
        """What the edit makes of what it is based on. up: it raises also where it only ends brakes. Raises Usage."""
        try:
            after = editing.checked(edit(basis.flag_set))
            changes.check(basis.flag_set, after)
        except Invalid as error:
            raise Unusable(error) from None
        return Proposal(basis.flag_set, after, up or editing.raises(basis.flag_set, after, self._switch))

    async def write(
        self,
        basis: Basis,
        edit: Edit,
        *,
        actor: str,
        reason: str,
        shown: Collection[str] = (),
        up: bool = False,
        move: Move | None = None,
    ) -> Written:
        """Write it. shown: ids of the brakes that whoever wants it was shown. up: see `propose`. move: the rollout with it.

        Raises Changed, Moved where the rollout stands elsewhere by now, Unshown, Usage, Transient, Systemic.
        """
        up = up or move is not None
        first = proposal = self.propose(basis, edit, up=up)
        for _ in range(MOST_TRIES):
            lifts = self._lifts(basis, proposal, shown)
            try:
                row = await self._put(basis, proposal, lifts, move, actor, reason)
            except Changed:
                if move is not None:
                    await self._check_unmoved(move)
                basis = await self.read()
                self._compare(first, basis)
                proposal = self.propose(basis, edit, up=up)
                if proposal.raises and not first.raises:
                    raise Changed(
                        "the flags were changed meanwhile, so that this would give somebody more than it did",
                        do="look at it, and try again",
                    ) from None
                continue
            return Written(row, proposal, lifts)
        raise Changed("the flags are changed all the time", do="find out by whom: `migctl flags history`")

    async def _put(
        self,
        basis: Basis,
        proposal: Proposal,
        lifts: Sequence[str],
        move: Move | None,
        actor: str,
        reason: str,
    ) -> Row:
        document, flag = proposal.after.document(), self._switch.flag
        raises = [flag] if proposal.raises else []
        if move is None:
            return await self._record.write(
                document, expected_n=basis.n, known_n=basis.known.n, kind="up" if proposal.raises else "edit",
                lifts=lifts, raises=raises, actor=actor, reason=reason,
            )  # fmt: skip
        return await self._record.open_step(
            flag, move.state, document, expected=move.expected, fence=None, expected_n=basis.n, known_n=basis.known.n,
            lifts=lifts, raises=raises, action=move.action, actor=actor, reason=reason,
        )  # fmt: skip

    async def _check_unmoved(self, move: Move) -> None:
        at = await self._record.rollout(self._switch.flag)
        if at.version != move.expected:
            raise Moved(
                "the rollout was changed meanwhile", do="look at `migctl rollout status`, and try again"
            ) from None

    def _lifts(self, basis: Basis, proposal: Proposal, shown: Collection[str]) -> tuple[str, ...]:
        if not proposal.raises:
            return ()
        holding = to_confirm(basis.brakes, self._written(basis.flag_set))
        error = unshown([brake for brake in holding if brake.id not in shown])
        if error is not None:
            raise error
        return tuple(brake.id for brake in basis.brakes)

    def _compare(self, first: Proposal, basis: Basis) -> None:
        theirs = editing.changed_parts(first.before, basis.flag_set)
        both = sorted(editing.changed_parts(first.before, first.after) & theirs)
        if both:
            (row, *_) = basis.known.rows
            lines = editing.difference(first.before, basis.flag_set)
            raise Changed(
                f"{', '.join(both)} was changed meanwhile by {row.by} ({row.reason or 'no reason'}):\n"
                + "\n".join(lines),
                do="look at it, and try again",
            ) from None


def unshown(brakes: Sequence[Brake]) -> Unshown | None:
    """What a raise is refused with that would end these brakes, which nobody was shown; None where there are none."""
    if not brakes:
        return None
    return Unshown(
        "this would raise a share, and ends what nobody has looked at: " + "; ".join(map(in_words, brakes)),
        do="see whether its reason is gone; then confirm on a terminal, or name each: "
        + " ".join(f"--lift {brake.id}" for brake in brakes),
    )


def in_words(brake: Brake) -> str:
    """A brake in words."""
    why = brake.reason or "no reason"
    return f"brake {brake.id}: {brake.split} at most {brake.max_percent:g} %, by {brake.by or 'nobody named'} at {brake.at}: {why}"
