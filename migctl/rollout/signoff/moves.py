"""Moves: the audit of a rollout, read once: each entry with its state, its share, and the brakes that were live after it. Pure.

| an entry | read as |
|---|---|
| `rollout.*` | the state before and after |
| `flags.up`, `flags.down`, `flags.edit` | the share that was written, and the brakes that it ended |
| `flags.brake` | a brake, live from when it was pulled |
| a segment that is defined anew, `flags.forget` | a note |
| what is about other flags | nothing |
| what can't be read | named, and passed over |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from migctl.errors import MigctlError
from migctl.events.times import parse_time
from migctl.flags.assignment import Switch
from migctl.flags.changelog import BRAKE, FORGET, entry_of
from migctl.flags.definitions import FlagSet, Invalid, read
from migctl.flags.record import Audited
from migctl.flags.shares import EVERYTHING, SEGMENT, Shares, shares_of
from migctl.flags.snapshot import Brake, effective, naming
from migctl.rollout.standing import state_of
from migctl.rollout.walk import State

ROLLOUT = "rollout."
_SEGMENT = f"${SEGMENT}"


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """A brake, what it took, and who ended it. before, after: percent of all that were in force. ended: None while it is live."""

    brake: Brake
    at: datetime
    before: float | None
    after: float | None
    stage: str | None = None
    ended: datetime | None = None
    ended_by: str | None = None

    @property
    def aborts(self) -> bool:
        return self.brake.split == EVERYTHING and self.brake.max_percent == 0


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. before, state: of a `rollout.*`. share: percent of all that is in force after it; None where nobody can say.

    words: the share as it was written before and after, where it changed. lifted: brakes that it ended. note: what else it did.
    """

    at: datetime
    action: str
    who: str
    why: str
    before: State | None = None
    state: State | None = None
    share: float | None = None
    words: tuple[str, str] | None = None
    lifted: tuple[str, ...] = ()
    brake: Brake | None = None
    note: str | None = None


class Moves(msgspec.Struct, frozen=True, kw_only=True):
    """In order. unread: entries that could not be read, each with what it was."""

    moves: Sequence[Move]
    pulled: Sequence[Pulled]
    unread: Sequence[str]

    @property
    def states(self) -> list[tuple[Move, State]]:
        return [(move, move.state) for move in self.moves if move.state is not None]


class _BrakeRow(msgspec.Struct):
    id: str
    flag: str
    max_percent: float
    split: str
    actor: str
    reason: str
    pulled_at: str


class _FlagRow(msgspec.Struct):
    n: int
    document: object
    lifts: tuple[str, ...] = ()


class _Reading:
    """What stands after each entry."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._flag_set = FlagSet()
        self._brakes: dict[str, Brake] = {}
        self.closed = False
        self.stage: str | None = None

    def row(self, row: _FlagRow) -> None:
        self._flag_set = read(row.document)
        for brake_id in row.lifts:
            self._brakes.pop(brake_id, None)

    def brake(self, brake: Brake) -> None:
        self._brakes[brake.id] = brake

    @property
    def share(self) -> float | None:
        """Of all, in force. Once the WebSocket is switched off everybody has Realtime."""
        if self.closed:
            return 100.0
        flag = self._flag_set.flags.get(self._switch.flag)
        if flag is None or flag.state == "DISABLED":
            return 0.0
        shares = shares_of(flag, self._switch.opened, self._switch.otherwise)
        return None if shares is None else self._under(shares).percent

    def _under(self, shares: Shares) -> Shares:
        live = list(self._brakes.values())
        return effective(naming(shares, live, self._flag_set), live)


def moves_of(audited: Iterable[Audited], switch: Switch) -> Moves:
    """audited: the oldest first."""
    reading = _Reading(switch)
    moves: list[Move] = []
    pulled: dict[str, Pulled] = {}
    unread: list[str] = []
    for one in audited:
        try:
            move = _move(one, reading, pulled, switch)
        except (msgspec.ValidationError, Invalid, MigctlError, ValueError) as error:
            unread.append(f"{one.action} of {one.at}: {error}")
            continue
        if move is not None:
            moves.append(move)
    return Moves(moves=moves, pulled=list(pulled.values()), unread=unread)


def _move(one: Audited, reading: _Reading, pulled: dict[str, Pulled], switch: Switch) -> Move | None:
    at, action = parse_time(one.at), one.action
    if one.flag not in (None, switch.flag):
        return None
    move = Move(at=at, action=action, who=one.actor, why=one.reason)
    if action.startswith(ROLLOUT):
        state = state_of(one.after)
        reading.closed = _closed(state)
        reading.stage = state.stage if state is not None else None
        return msgspec.structs.replace(move, before=state_of(one.before), state=state, share=reading.share)
    if action == BRAKE:
        row = msgspec.convert(one.after, _BrakeRow, strict=False)
        if row.flag != switch.flag:
            return None
        return _braked(move, row, reading, pulled)
    if action == FORGET:
        return msgspec.structs.replace(
            move, share=reading.share, note=f"{entry_of(one, switch).after}: it is waited for no more"
        )
    if action not in ("flags.up", "flags.down", "flags.edit"):
        return None
    written = msgspec.convert(one.after, _FlagRow)
    reading.row(written)
    lifted = tuple(name for name in written.lifts if name in pulled and pulled[name].ended is None)
    for name in lifted:
        by = f"{action.removeprefix('flags.')} by {one.actor}: {one.reason}"
        pulled[name] = msgspec.structs.replace(pulled[name], ended=at, ended_by=by)
    entry = entry_of(one, switch)
    words = (entry.before, entry.after) if entry.before != entry.after else None
    note = _segments(one.parts) if words is None else None
    if words is None and not lifted and note is None:
        return None
    return msgspec.structs.replace(move, share=reading.share, words=words, lifted=lifted, note=note)


def _braked(move: Move, row: _BrakeRow, reading: _Reading, pulled: dict[str, Pulled]) -> Move:
    before, pulled_at = reading.share, min(parse_time(row.pulled_at), move.at)
    brake = Brake(
        id=row.id, flag=row.flag, max_percent=row.max_percent, split=row.split, by=row.actor, at=row.pulled_at,
        reason=row.reason,
    )  # fmt: skip
    reading.brake(brake)
    after = reading.share
    pulled[brake.id] = Pulled(brake=brake, at=pulled_at, before=before, after=after, stage=reading.stage)
    return msgspec.structs.replace(move, at=pulled_at, share=after, brake=brake)


def _segments(parts: Sequence[str]) -> str | None:
    names = [part.removeprefix(_SEGMENT) for part in parts if part.startswith(_SEGMENT)]
    if not names:
        return None
    return f"segment{'s' if len(names) > 1 else ''} {', '.join(names)} defined anew"


def _closed(state: State | None) -> bool:
    return state is not None and state.completing is not None and state.completing.phase == "completed"


def by_step(moves: Moves) -> Mapping[str, list[tuple[Move, State]]]:
    """The states of each attempt at a stage, in order. Switching off is none of them."""
    found: dict[str, list[tuple[Move, State]]] = {}
    for move, state in moves.states:
        if state.completing is None and not move.action.endswith("reopen"):
            found.setdefault(state.step_id, []).append((move, state))
    return found
