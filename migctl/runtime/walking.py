"""Walking: a walker put together: the record and its lease, the serves of one journal, and the way down."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from migctl import clock
from migctl.config import Settings, secret
from migctl.config.digest import delivery_digest
from migctl.config.person import operator
from migctl.errors import MigctlError, Refused, Transient, Usage
from migctl.events import format_time
from migctl.events.jsontext import read_as
from migctl.flags.authoring import Author, Basis
from migctl.flags.disk import ProcessesFile
from migctl.flags.record import Record
from migctl.flags.shares import EVERYTHING, shares_of
from migctl.flags.snapshot import Brake, Snapshot
from migctl.rollout import drills
from migctl.rollout.opening import wanted
from migctl.rollout.ports import Flags, Held, Observed
from migctl.rollout.standing import state_of
from migctl.rollout.walk import State, Step
from migctl.rollout.walker import LEASE_S, Line, Walker
from migctl.runtime.flagging import desk
from migctl.runtime.flags import TRANSPORT, step_edit
from migctl.runtime.handing import Hands
from migctl.serve_client import ServeHttp
from migctl.serve_client.control import reached
from migctl.serve_client.status import status_by
from migctl.server.routes.marker import MARKER, Marker, Placed
from migctl.status import ServeStatus
from migctl.validate.witness.minute import Minute
from migctl.validate.witness.state import holding

LOCK = "walker.lock"
ASKED_WITHIN_S = 2.0

Note = Callable[[str], None]


@dataclass
class RecordLedger:
    """holder: the name that the lease is taken in. hands: given what was opened, which the record has by then."""

    record: Record
    author: Author
    hands: Hands
    holder: str
    actor: str
    note: Note
    _basis: Basis | None = None

    async def flags(self) -> Flags:
        basis = self._basis = await self.author.read()
        flag = basis.flag_set.flags.get(TRANSPORT.flag)
        if flag is None:
            return Flags(basis.n, None, None, basis.brakes)
        closed = f"the flag {TRANSPORT.flag} is disabled" if flag.state == "DISABLED" else None
        shares = shares_of(flag, TRANSPORT.opened, TRANSPORT.otherwise)
        return Flags(basis.n, shares, closed, basis.brakes)

    async def hold(self) -> Held:
        lease = await self.record.lease(TRANSPORT.flag, self.holder, LEASE_S)
        if lease.holder != self.holder:
            raise _taken(str(lease.holder), lease.left_s)
        state = state_of(lease.state)
        if state is not None and state.version != lease.version:
            state = msgspec.structs.replace(state, version=lease.version)
        return Held(lease.fence, lease.version, state)

    async def minutes(self, since: datetime) -> list[Minute]:
        return [one async for one in self.record.minutes(Minute, since=format_time(since))]

    async def write(self, state: State, held: Held, *, action: str, reason: str) -> None:
        await self.record.write_rollout(
            TRANSPORT.flag,
            msgspec.json.encode(state),
            expected=held.version,
            fence=held.fence,
            action=action,
            actor=self.actor,
            reason=reason,
        )

    async def open(self, state: State, step: Step, flags: Flags, held: Held, *, reason: str) -> None:
        basis = self._basis
        assert basis is not None
        before = flags.shares
        share = (step.percent, dict(step.segments)) if before is None else wanted(before, step)
        proposal = self.author.propose(basis, step_edit(*share))
        row = await self.record.open_step(
            TRANSPORT.flag,
            msgspec.json.encode(state),
            proposal.after.document(),
            expected=held.version,
            fence=held.fence,
            expected_n=basis.n,
            known_n=basis.known.n,
            raises=[TRANSPORT.flag],
            action="begin",
            actor=self.actor,
            reason=reason,
        )
        handed = await self.hands.hand(Snapshot(target=self.record.name).with_row(row))
        for one in handed.unconfirmed:
            self.note(f"{one.name} did not confirm: {one.why}; it asks the record by itself")


@dataclass
class HandsDown:
    """One brake for everything, to everybody at once."""

    hands: Hands
    actor: str

    async def roll(self, brake_id: str, reason: str) -> str:
        brake = Brake(
            id=brake_id,
            flag=TRANSPORT.flag,
            max_percent=0,
            split=EVERYTHING,
            by=self.actor,
            at=format_time(clock.now()),
            reason=reason,
        )
        handed = await self.hands.brake(brake)
        words = f"braked to 0 %: {len(handed.confirmed)} processes confirmed in {handed.took_s:.2f} s"
        for one in handed.unconfirmed:
            words += f"; {one.name} did not: {one.why}"
        if handed.record is not None and not handed.record.has:
            words += f"; the record does not have it yet: {handed.record.why}"
        return words


@dataclass
class KnownServes:
    """The serve of this folder by its control socket, and the others that are registered, by their addresses.

    url: of one to ask in place of this folder's.
    """

    folder: Path
    name: str
    token: str | None
    url: str | None

    async def observe(self) -> Observed:
        async with self._first() as http:
            first = (await status_by(http)).status
        moved = [_moved(first)]
        asked = {first.flags.process} if first.flags is not None else set[str]()
        for process in ProcessesFile(self.folder).read(self.name).known:
            if process.id not in asked:
                moved.append(await self._moved_at(process.url))  # noqa: PERF401 - one after the other
        witness = first.witness
        markers = witness.markers if witness is not None else {}
        heard_from = witness.heard_from if witness is not None and witness.state != "stopped" else None
        known = None if None in moved else all(moved)
        return Observed(first.journal.epoch, known, markers, heard_from)

    async def mark(self, marker_id: str, step_id: str) -> str:
        asked = msgspec.json.encode({"id": marker_id, "step": step_id})
        read_as(asked, Marker)
        async with self._first() as http:
            answer = await http.post(MARKER, asked)
        if answer.status not in (200, 201):
            raise Transient(
                f"{answer.where}: the marker was not placed: {answer.words()}", do="see what the serve says"
            )
        placed = answer.decode(Placed)
        return f"{placed.epoch}/{placed.seq}"

    @asynccontextmanager
    async def _first(self) -> AsyncIterator[ServeHttp]:
        if self.url is None:
            async with reached(self.folder) as http:
                yield http
            return
        http = ServeHttp(self.url, token=self.token, timeout_s=ASKED_WITHIN_S)
        try:
            yield http
        finally:
            await http.aclose()

    async def _moved_at(self, url: str | None) -> bool | None:
        if url is None:
            return None
        http = ServeHttp(url, token=self.token, timeout_s=ASKED_WITHIN_S)
        try:
            return _moved((await status_by(http)).status)
        except MigctlError:
            return None
        finally:
            await http.aclose()


def _moved(status: ServeStatus) -> bool | None:
    """None where it is not known: an older one, or one that is still working out what a change of flags means."""
    gateway = status.transports.websocket
    if gateway is None:
        return True
    if gateway.moves is None or gateway.moves.moving is None:
        return None
    return gateway.moves.moving == 0


@asynccontextmanager
async def walking(
    settings: Settings,
    steps: list[Step],
    *,
    reason: str,
    url: str | None,
    without_drills: str | None,
    notify: Callable[[Line], None],
    note: Note,
) -> AsyncIterator[Walker]:
    """A walker of this folder. Raises Refused where another one of it walks, Usage where the target lacks a part."""
    async with AsyncExitStack() as stack:
        at = await stack.enter_async_context(desk(settings, note))
        try:
            holder = stack.enter_context(holding(settings.state, lock=LOCK))
        except OSError as error:
            raise Usage(f"{settings.state}: {error.strerror}", do="make it writable") from None
        if holder is None:
            raise _taken(_name_in(settings.state / LOCK), None)
        actor, token = operator(), secret("MIGCTL_TOKEN")
        hands = Hands(settings, at.record.name, record=at.record, redis=at.redis, token=token)
        yield Walker(
            ledger=RecordLedger(at.record, at.author, hands, holder, actor, note),
            serves=KnownServes(settings.state, at.record.name, token, url),
            down=HandsDown(hands, actor),
            steps=steps,
            drilled=lambda: drills.read(settings.state),
            config=delivery_digest(settings),
            reason=reason,
            without_drills=without_drills,
            notify=notify,
        )


def _taken(holder: str, left_s: float | None) -> Refused:
    left = f", for {left_s:.0f} s and as long as it renews" if left_s is not None else ""
    return Refused(
        f"{holder} walks this rollout{left}",
        do="let that one walk, or end it and try again; `migctl rollout status` shows what it does",
    )


def _name_in(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text().strip() or "another process of this folder"
    return "another process of this folder"
