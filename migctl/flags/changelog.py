"""Changelog: what an entry of the audit did to flags, for people: which of them, and the share before and after. Pure."""

from __future__ import annotations

import msgspec

from migctl.flags.assignment import Switch
from migctl.flags.definitions import FlagSet, Invalid, read
from migctl.flags.editing import share_in_words
from migctl.flags.record import Audited

BRAKE = "flags.brake"
FORGET = "flags.forget"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """parts: flags that it is about, and evaluators with `$` before. before, after: the share of the switch, in words.

    n: of the row that it wrote; None for a brake. lifts: ids of the brakes that it ended.
    """

    at: str
    actor: str
    action: str
    reason: str
    n: int | None
    parts: list[str]
    before: str
    after: str
    lifts: list[str]


class _Row(msgspec.Struct):
    n: int
    document: object
    lifts: list[str]


class _Brake(msgspec.Struct):
    flag: str
    max_percent: float
    split: str


class _Process(msgspec.Struct):
    name: str


def entry_of(audited: Audited, switch: Switch) -> Entry:
    """A row or a brake that can't be read is shown all the same, without what it did."""
    n, lifts = None, list[str]()
    before = _share(audited.before, switch)
    after = "unreadable"
    try:
        if audited.action == BRAKE:
            brake = msgspec.convert(audited.after, _Brake)
            after = f"{brake.split} at most {brake.max_percent:g} %"
        elif audited.action == FORGET:
            # No flag is another one by it: it says which process is waited for no more.
            before = after = f"without {msgspec.convert(audited.before, _Process).name}"
        else:
            row = msgspec.convert(audited.after, _Row)
            n, lifts = row.n, row.lifts
            after = _share(audited.after, switch)
    except msgspec.ValidationError:
        pass
    return Entry(
        at=audited.at, actor=audited.actor, action=audited.action.removeprefix("flags."), reason=audited.reason,
        n=n, parts=list(audited.parts), before=before, after=after, lifts=lifts,
    )  # fmt: skip


def _share(row: object, switch: Switch) -> str:
    # A row that was not there is one of nulls: the database writes it so.
    if row is None or (isinstance(row, dict) and row.get("n") is None):
        return share_in_words(FlagSet(), switch)
    try:
        return share_in_words(read(msgspec.convert(row, _Row).document), switch)
    except (msgspec.ValidationError, Invalid):
        return "unreadable"
