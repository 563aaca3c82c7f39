"""The record: flags, brakes, rollouts and evidence in the target's exposed schema, by functions over rpc with the service key.

An up row is written at the version that its author saw, with its audit row in the same transaction. Brakes are never refused. What
comes back is read as it stands; what can't be read of it is the target's fault (Systemic), and changes nothing that is held.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote

import msgspec

from migctl.config import Settings, Target
from migctl.config.address import is_local
from migctl.errors import MigctlError, Systemic, Wanting
from migctl.events.times import Moment
from migctl.flags.disk import Process
from migctl.flags.snapshot import Brake, Row, Snapshot, all_merged, of_row
from migctl.target import answers, errors
from migctl.target.rest import PATIENT, Rest, Timeouts

T = TypeVar("T")

# A flag set may be large, and brakes are kept for ever.
MOST_BYTES = 16 << 20
# Below what a hosted target gives at once.
PAGE_MINUTES = 1000
# An entry holds two flag sets.
PAGE_ENTRIES = 100
# Others don't say no: what looks like it is no answer of theirs.
_MAY_REFUSE = ("flags_write", "rollout_write", "rollout_open")


def target_name(settings: Settings, target: Target) -> str:
    """What every value in a store of flags carries: the same for all who work on one project.

    On this machine it is `local` whatever the port, which changes, and which a proxy in between has another of.
    """
    if settings.flags.target is not None:
        return settings.flags.target
    place = "local" if is_local(target.supabase_url) else target.supabase_url.split("://", 1)[1].lower()
    return f"{place}/{settings.supabase.schema_}"


def name_of_local(settings: Settings) -> str:
    """That of the embedded stack, which is the same where none runs."""
    return settings.flags.target or f"local/{settings.supabase.schema_}"


class Changed(Wanting):
    """Somebody else wrote meanwhile: nothing of this was written."""


class Moved(Changed):
    """Somebody else moved the rollout meanwhile: neither its state nor a share was written."""


class Unshown(Wanting):
    """A brake is live that whoever raises was not shown: nothing was written."""


_REFUSALS: Mapping[str, type[MigctlError]] = {"PT409": Changed, "PT412": Unshown}


class Rollout(msgspec.Struct, frozen=True):
    """Where a rollout stands. state: a document of `rollout`; holder, fence, left_s, expires_at: of the walker's lease."""

    flag: str
    version: int
    state: object = None
    holder: str | None = None
    fence: int = 0
    left_s: float | None = None
    expires_at: str | None = None


class Audited(msgspec.Struct, frozen=True):
    """One thing that was done. flag: the one that it is about; None where it is about none, or several.

    parts: all that it is about: flags, and evaluators with `$` before their names. id: higher for what was done later.
    """

    at: str
    action: str
    flag: str | None
    actor: str
    reason: str
    before: object = None
    after: object = None
    parts: tuple[str, ...] = ()
    id: int = 0


class Contents(msgspec.Struct, frozen=True):
    """What the record has. n: the newest; head: its row, None where the caller has it already, or there is none."""

    n: int
    snapshot: Snapshot
    head: Row | None
    processes: tuple[Process, ...]


class _Row(msgspec.Struct):
    n: int
    id: str
    target: str
    document: object
    lifts: tuple[str, ...]
    actor: str
    reason: str
    written_at: str

    def row(self) -> Row:
        return Row(
            n=self.n, id=self.id, document=self.document, lifts=self.lifts,
            by=self.actor, at=self.written_at, reason=self.reason,
        )  # fmt: skip


class _Brake(msgspec.Struct):
    id: str
    target: str
    flag: str
    max_percent: float
    split: str
    actor: str
    reason: str
    pulled_at: str

    def brake(self) -> Brake:
        return Brake(
            id=self.id, flag=self.flag, max_percent=self.max_percent, split=self.split,
            by=self.actor, at=self.pulled_at, reason=self.reason,
        )  # fmt: skip


class _Contents(msgspec.Struct):
    n: int
    rows: list[_Row]
    brakes: list[_Brake]
    lifts: dict[str, int]
    processes: list[Process]


class _Kept(msgspec.Struct):
    started_at: Moment
    document: msgspec.Raw


class _Recorded(msgspec.Struct):
    recorded: bool
    lifted: bool


class _Version(msgspec.Struct):
    version: int


class Record:
    """Of one target, as service_role."""

    def __init__(self, target: Target, schema: str, name: str, timeouts: Timeouts = PATIENT) -> None:
        """name: of the target, that every value carries; see `target_name`."""
        self._rest = Rest(target, schema, timeouts)
        self.name = name

    async def read(self, after_n: int = 0) -> Contents:
        """All that a process holds. after_n: the newest row that the caller has.

        Raises Transient, and Systemic, also where the newest row is of another target.
        """
        contents = await self._call("flags_read", {"p_after": after_n}, _Contents)
        foreign = [row.target for row in contents.rows if row.target != self.name]
        if foreign:
            raise Systemic(
                f"the record has flags of {foreign[0]!r}, and these are those of {self.name!r}",
                do="where it is the same project under another address, set flags.target to the name that the record has; "
                "where its data were copied from another project, empty monitoring_flags here",
            )
        rows = [row.row() for row in contents.rows]
        brakes = {brake.id: brake.brake() for brake in contents.brakes if brake.target == self.name}
        begin = Snapshot(target=self.name, brakes=brakes, lifts=contents.lifts)
        snapshot = all_merged(self.name, [begin, *(of_row(self.name, row) for row in rows)])
        return Contents(contents.n, snapshot, rows[-1] if rows else None, tuple(contents.processes))

    async def write(
        self,
        document: object,
        *,
        expected_n: int,
        known_n: int,
        kind: str,
        lifts: Sequence[str] = (),
        raises: Sequence[str] = (),
        actor: str,
        reason: str,
    ) -> Row:
        """Write the next version. expected_n: the newest that its author saw in the record; known_n: the highest anywhere.

        kind: `up` or `edit`. lifts: brakes that the author was shown, and ends. raises: flags whose live brakes must all be named.
        Raises Changed, Unshown, Transient, Systemic.
        """
        arguments = {
            "p_target": self.name, "p_expected_n": expected_n, "p_seen_n": known_n, "p_document": document, "p_kind": kind,
            "p_lifts": list(lifts), "p_raises": list(raises), "p_actor": actor, "p_reason": reason,
        }  # fmt: skip
        return (await self._call("flags_write", arguments, _Row)).row()

    async def brake(
        self, brake: Brake, *, document: object = None, based_on: int = 0, known_n: int = 0
    ) -> bool:
        """Record a brake: True where it was new. Idempotent, never refused.

        document: the flag set with the lower share in it, made from the row `based_on`, and written where that is the newest yet.
        Raises Transient, Systemic.
        """
        arguments = {
            "p_target": self.name, "p_brake": msgspec.to_builtins(brake), "p_document": document, "p_based_on": based_on,
            "p_seen_n": known_n,
        }  # fmt: skip
        return (await self._call("brake", arguments, _Recorded)).recorded

    async def register(self, process_id: str, name: str, url: str | None) -> tuple[Process, ...]:
        """Say that this process evaluates flags. Returns all that are known."""
        arguments = {"p_id": process_id, "p_name": name, "p_url": url}
        return tuple(await self._call("process", arguments, list[Process]))

    async def deregister(self, process_id: str) -> None:
        """It ended by itself: nobody waits for its confirmation any more."""
        await self._call("process", {"p_id": process_id, "p_name": None, "p_url": None}, list[Process])

    async def forget(self, process_id: str, *, actor: str, reason: str) -> tuple[Process, ...]:
        """Take out one that was killed, with an audit row. Returns all that are known. Raises Transient, Systemic."""
        arguments = {"p_id": process_id, "p_actor": actor, "p_reason": reason}
        return tuple(await self._call("process_forget", arguments, list[Process]))

    async def lease(self, flag: str, holder: str, seconds: float) -> Rollout:
        """Take or renew the walker's lease; whose it is now stands in the answer."""
        return await self._call("lease", {"p_flag": flag, "p_holder": holder, "p_seconds": seconds}, Rollout)

    async def rollout(self, flag: str) -> Rollout:
        """Where it stands; version 0 before the first. Raises Transient, Systemic."""
        action = f"read the rollout of {flag}"
        path = f"monitoring_rollouts?select=flag,version,state,holder,fence,expires_at&flag=eq.{flag}"
        found = answers.typed(
            action, await self._rest.get(action, path, most_bytes=MOST_BYTES), list[Rollout]
        )
        return found[0] if found else Rollout(flag, 0)

    async def write_rollout(
        self,
        flag: str,
        state: bytes,
        *,
        expected: int,
        fence: int | None,
        action: str,
        actor: str,
        reason: str,
    ) -> int:
        """Move it to its next state; the version then. fence: of the lease, None for a person. Raises Changed, Unshown."""
        arguments = {
            "p_flag": flag, "p_expected": expected, "p_state": msgspec.Raw(state), "p_fence": fence, "p_action": action,
            "p_actor": actor, "p_reason": reason,
        }  # fmt: skip
        return (await self._call("rollout_write", arguments, _Version)).version

    async def open_step(
        self,
        flag: str,
        state: bytes,
        document: object,
        *,
        expected: int,
        fence: int | None,
        expected_n: int,
        known_n: int,
        lifts: Sequence[str] = (),
        raises: Sequence[str] = (),
        action: str,
        actor: str,
        reason: str,
    ) -> Row:
        """Move a rollout to its next state and raise the share with it, or neither. As `write_rollout` and `write`, up.

        Raises Changed, Unshown, Transient, Systemic.
        """
        rollout = {
            "flag": flag, "expected": expected, "state": msgspec.Raw(state), "fence": fence, "action": action,
            "actor": actor, "reason": reason,
        }  # fmt: skip
        arguments = {
            "p_rollout": rollout, "p_target": self.name, "p_expected_n": expected_n, "p_seen_n": known_n,
            "p_document": document, "p_lifts": list(lifts), "p_raises": list(raises),
        }  # fmt: skip
        return (await self._call("rollout_open", arguments, _Row)).row()

    async def write_minutes(self, minutes: Sequence[object]) -> int:
        """Keep minutes of evidence; of two for one minute the worse. How many were new or worse."""
        arguments = {"p_minutes": [msgspec.to_builtins(minute) for minute in minutes]}
        return await self._call("evidence_write", arguments, int)

    async def minutes(
        self, kind: type[T], *, since: str, before: str | None = None, page: int = PAGE_MINUTES
    ) -> AsyncIterator[T]:
        """Evidence from this moment (RFC 3339) on, in order, to its end or to a moment that no longer counts.

        page: rows asked for at once; a target may give fewer. What is written meanwhile comes too where it is later than what came.
        Raises Transient, Systemic.
        """
        action, after, last = f"read the evidence since {since}", f"gte.{since}", None
        end = f"&started_at=lt.{quote(before, safe='')}" if before is not None else ""
        while True:
            path = (
                f"monitoring_evidence?select=started_at,document&started_at={quote(after, safe='')}{end}"
                f"&order=started_at.asc&limit={page}"
            )
            body = await self._rest.get(action, path, most_bytes=MOST_BYTES * 4)
            rows = answers.typed(action, body, list[_Kept])
            if not rows:
                return
            if last is not None and rows[0].started_at <= last:
                raise errors.unreadable(action, body, "a page begins before the end of the one before")
            for each in rows:
                yield answers.typed(action, bytes(each.document), kind)
            last = rows[-1].started_at
            after = f"gt.{last.isoformat()}"

    async def history(
        self,
        *,
        part: str | None = None,
        actions: Sequence[str] = (),
        limit: int | None = None,
        page: int = PAGE_ENTRIES,
    ) -> AsyncIterator[Audited]:
        """What was done, the newest first, to the very first of all. What is done meanwhile is not among it.

        part: only what is about this flag, or this evaluator, with `$` before its name. actions: only these, such as `rollout.*`
        and `flags.brake`. limit: no more than so many. page: entries asked for at once. Raises Transient, Systemic.
        """
        action, below, left = "read the audit of flags", None, limit
        of = f"&parts=cs.{quote(_array(part), safe='')}" if part is not None else ""
        if actions:
            of += "&or=(" + ",".join(f"action.like.{one}" for one in actions) + ")"
        while left is None or left > 0:
            size = page if left is None else min(page, left)
            after = f"&id=lt.{below}" if below is not None else ""
            path = (
                f"monitoring_audit?select=id,at,action,flag,parts,actor,reason,before,after{of}{after}"
                f"&order=id.desc&limit={size}"
            )
            try:
                body = await self._rest.get(action, path, most_bytes=MOST_BYTES)
            except errors.TooLarge:
                if size == 1:
                    raise
                page = size // 2
                continue
            rows = answers.typed(action, body, list[Audited])
            if not rows:
                return
            if below is not None and rows[0].id >= below:
                raise errors.unreadable(action, body, "a page begins before the end of the one before")
            for each in rows:
                yield each
            below = rows[-1].id
            left = None if left is None else left - len(rows)

    async def aclose(self) -> None:
        await self._rest.aclose()

    async def _call(self, function: str, arguments: Mapping[str, object], kind: type[T]) -> T:
        action = f"call monitoring_{function}"
        body = msgspec.json.encode(arguments)
        answer = await self._rest.post(
            action,
            f"rpc/monitoring_{function}",
            body,
            prefer="return=representation",
            most_bytes=MOST_BYTES,
            refusals=_REFUSALS if function in _MAY_REFUSE else {},
        )
        return answers.typed(action, answer, kind)


def _array(name: str) -> str:
    """An array of PostgreSQL with this one text in it."""
    text = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'{{"{text}"}}'
