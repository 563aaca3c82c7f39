"""Managing: what an application does to the flags of a `serve`, over HTTP: the edits and the refusals of the command line.

Reading answers from what this process holds, whatever is away. Writing goes to the record, at the version that its author saw, and
is pushed at once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import msgspec

from migctl.errors import Refused, Usage, Wanting
from migctl.flags import changelog, editing, segments
from migctl.flags.authoring import Basis, Proposal
from migctl.flags.definitions import FlagSet, Invalid, read
from migctl.flags.documents import (
    Change,
    Flags,
    History,
    OneFlag,
    OneSegment,
    Segments,
    Share,
    asking,
    flag_document,
    segment_document,
)
from migctl.flags.editing import Edit
from migctl.flags.service import FlagService
from migctl.flags.shares import SEGMENT
from migctl.flags.snapshot import Brake, Snapshot, flag_sets

T = TypeVar("T")
Kind = Literal["flag", "segment"]

MAX_REASON_CHARS = 1000

# What a terminal would obey where a history is shown.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Absent(Wanting):
    """There is no such flag, or segment."""


class OtherVersion(Wanting):
    """It is not what its author saw."""


class OtherTarget(Refused):
    """The write names another target than this."""


class NoRecord(Refused):
    """A file is the record here."""


@dataclass(frozen=True, slots=True)
class Order:
    """What whoever writes says: which target they mean, why, what they were shown, and who they are.

    tags: entity tags, one of which has to be that of what stands now; ANY for whatever stands. absent: nothing may stand.
    lift: ids of the brakes that they were shown.
    """

    target: str
    reason: str
    actor: str
    tags: Collection[str] = ()
    absent: bool = False
    lift: Collection[str] = ()
    dry_run: bool = False


ANY = "*"


class Managing:
    """Of the flags of one process."""

    def __init__(self, service: FlagService) -> None:
        self._service = service

    # Reading

    def flags(self) -> Flags:
        target, n, blind, flag_set = self._held()
        return Flags(
            target=target, n=n, blind=blind, brakes=self._brakes(),
            flags=[flag_document(flag_set, key) for key in flag_set.flags],
        )  # fmt: skip

    def flag(self, key: str) -> OneFlag:
        """Raises Absent."""
        target, n, blind, flag_set = self._held()
        if key not in flag_set.flags:
            raise _absent("flag", key, flag_set.flags)
        return OneFlag(
            target=target, n=n, blind=blind, flag=flag_document(flag_set, key),
            brakes=[brake for brake in self._brakes() if brake.flag == key],
        )  # fmt: skip

    def segments(self) -> Segments:
        target, n, blind, flag_set = self._held()
        names = segments.segments_of(flag_set)
        return Segments(
            target=target, n=n, blind=blind, segments=[segment_document(flag_set, name) for name in names]
        )

    def segment(self, name: str) -> OneSegment:
        """Raises Absent."""
        target, n, blind, flag_set = self._held()
        names = segments.segments_of(flag_set)
        if name not in names:
            raise _absent("segment", name, names)
        return OneSegment(target=target, n=n, blind=blind, segment=segment_document(flag_set, name))

    def tag(self, kind: Kind, name: str) -> str | None:
        """The entity tag of what this process holds."""
        return tag_of(self._held()[3], kind, name)

    async def history(self, kind: Kind, name: str, limit: int) -> History:
        """Raises NoRecord, Transient, Systemic."""
        record = self._service.record
        if record is None:
            raise self._no_record()
        part = name if kind == "flag" else f"${SEGMENT}{name}"
        switch = self._service.holder.switch
        found = record.history(part=part, actions=("flags.*",), limit=limit)
        return History(target=self._target, entries=[changelog.entry_of(one, switch) async for one in found])

    # Writing

    async def put_flag(self, key: str, definition: object, order: Order) -> tuple[Change, bool]:
        """Define a flag, or define it anew; True where it was not there.

        Raises OtherTarget, OtherVersion, Usage, Changed, Unshown, NoRecord, Transient, Systemic.
        """

        def edit(of: FlagSet) -> FlagSet:
            # Read beside the evaluators that stand, which it may refer to.
            beside = msgspec.structs.replace(of, flags={}).document()
            added = read({**beside, "flags": {key: definition}})
            return editing.with_flags(of, added)

        return await self._write("flag", key, edit, order)

    async def put_segment(self, name: str, definition: object, order: Order) -> tuple[Change, bool]:
        """As `put_flag`. definition: as below `segments` in a file."""

        def edit(of: FlagSet) -> FlagSet:
            rules = segments.read_segments({"segments": {name: definition}})
            return segments.with_segments(of, rules)

        return await self._write("segment", name, edit, order)

    async def delete(self, kind: Kind, name: str, order: Order) -> Change:
        """Raises Absent, and as `put_flag`; Usage for a segment that a flag asks for."""

        def edit(of: FlagSet) -> FlagSet:
            if kind == "flag":
                return msgspec.structs.replace(of, flags=_without(of.flags, name))
            refer = asking(of, name)
            if refer:
                raise Invalid(
                    ("segments", name),
                    f"flags ask for it: {', '.join(refer)}",
                    "change their rules first, or empty the segment",
                )
            evaluators = _without(of.evaluators, f"{SEGMENT}{name}")
            return msgspec.structs.replace(of, evaluators=evaluators)

        change, _ = await self._write(kind, name, edit, order, is_delete=True)
        return change

    async def _write(
        self, kind: Kind, name: str, edit: Edit, order: Order, *, is_delete: bool = False
    ) -> tuple[Change, bool]:
        self._check(order)
        author = self._service.author()
        if author is None:
            raise self._no_record()
        basis = await author.read()
        await self._service.holder.follow(basis.known)
        there = tag_of(basis.flag_set, kind, name)
        if is_delete and there is None:
            raise _absent(kind, name, _names(basis.flag_set, kind))
        _check_version(basis, kind, name, there, order)
        proposal = author.propose(basis, edit)
        if order.dry_run or proposal.before == proposal.after:
            return self._change(basis, proposal, dry_run=order.dry_run), False
        written = await author.write(basis, edit, actor=order.actor, reason=order.reason, shown=order.lift)
        await self._service.hear(Snapshot(target=self._target).with_row(written.row))
        change = self._change(basis, written.proposal, n=written.row.n, lifted=written.lifted)
        return change, there is None

    def _check(self, order: Order) -> None:
        if order.target != self._target:
            raise OtherTarget(
                f"this writes to {self._target}, and you mean {order.target}",
                do="name the target that `GET /api/flags` says, where it is the one you mean",
            )
        reason = order.reason
        if not reason.strip() or len(reason) > MAX_REASON_CHARS or _CONTROL.search(reason):
            raise Usage(
                f"reason: 1 to {MAX_REASON_CHARS} characters, in one line",
                do="say why: it stands in the history",
            )

    def _change(
        self,
        basis: Basis,
        proposal: Proposal,
        *,
        n: int | None = None,
        lifted: Iterable[str] = (),
        dry_run: bool = False,
    ) -> Change:
        switch = self._service.holder.switch
        before, after = (editing.share_in_words(of, switch) for of in (proposal.before, proposal.after))
        return Change(
            target=self._target, n=basis.n if n is None else n, dry_run=dry_run, changed=n is not None,
            raises=proposal.raises, share=Share(before, after),
            difference=editing.difference(proposal.before, proposal.after),
            brakes=list(basis.brakes), lifted=list(lifted),
        )  # fmt: skip

    @property
    def _target(self) -> str:
        return self._service.holder.snapshot.target

    def _held(self) -> tuple[str, int, bool, FlagSet]:
        holder = self._service.holder
        found = flag_sets(holder.snapshot)
        return holder.snapshot.target, holder.snapshot.n, holder.blind, found[0] if found else FlagSet()

    def _brakes(self) -> list[Brake]:
        return self._service.holder.snapshot.live_brakes()

    def _no_record(self) -> NoRecord:
        where = self._service.file_path
        return NoRecord(
            f"without a target the file {where} is the record of flags, and who edits it changes them",
            do="edit the file: it is read again within a second",
        )


def tag_of(flag_set: FlagSet, kind: Kind, name: str) -> str | None:
    """The entity tag of a flag or a segment: of what it says, so that a change of another one is no conflict. None: not there."""
    found = flag_set.flags.get(name) if kind == "flag" else segments.segments_of(flag_set).get(name)
    if found is None:
        return None
    return f'"{hashlib.sha256(msgspec.json.encode(found, order="sorted")).hexdigest()[:24]}"'


def _check_version(basis: Basis, kind: Kind, name: str, there: str | None, order: Order) -> None:
    if order.absent and there is not None:
        raise OtherVersion(
            f"{kind} {name} is there already", do="send If-Match with its ETag, to define it anew"
        )
    if order.absent or (ANY in order.tags and there is not None):
        return
    if there is None or (there not in order.tags and f'"{basis.n}"' not in order.tags):
        by = "".join(f", by {row.by}: {row.reason}" for row in basis.known.rows[:1])
        raise OtherVersion(
            f"{kind} {name} is not what you saw: the flag set is n {basis.n} now{by}",
            do="get it again, and look at what was changed",
        )


def _names(flag_set: FlagSet, kind: Kind) -> Iterable[str]:
    return flag_set.flags if kind == "flag" else segments.segments_of(flag_set)


def _absent(kind: Kind, name: str, known: Iterable[str]) -> Absent:
    return Absent(f"there is no {kind} {name!r}", do=f"known: {', '.join(known) or 'none yet'}")


def _without(of: Mapping[str, T], name: str) -> dict[str, T]:
    return {key: value for key, value in of.items() if key != name}
