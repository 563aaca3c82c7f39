"""Who gets a change, and what of it. Pure: what PostgreSQL said of rows, roles and filters are arguments.

Of one subscriber and one change, the first line that is so:

| the binding's event | the change | its table and role | the row for that identity | its filter | the subscriber gets |
|---|---|---|---|---|---|
| another | any | any | any | any | nothing |
| `*`, or this one | INSERT, UPDATE | no primary key | any | any | 400, without the row |
| `*`, or this one | INSERT, UPDATE | a part of the key may not be read | any | any | 401, without the row |
| `*`, or this one | any | good | not visible | any | nothing |
| `*`, or this one | any | good | visible | keeps it out | nothing |
| `*`, or this one | any | good | visible | none, or lets it pass | the data |

Which rows are visible: all, where the table has no row level security; else each DELETE, for there is no row left to check, and
of the others those that PostgreSQL is asked for by their key. A change that is refused is asked for by nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from migctl.stack.standin.realtime import records
from migctl.stack.standin.realtime.records import Described, Rendered
from migctl.stack.standin.realtime.subscriptions import Feed, Subscription
from migctl.stack.standin.wal.pgoutput import Change, Unchanged

# For one change: each feed that gets it, the ids of its bindings, and the data they get.
Receivers = list[tuple[Feed, tuple[int, ...], bytes]]


@dataclass(frozen=True, slots=True)
class Seer:
    """A subscription as it stands to one change. table: as its role sees it. passes: its filter, or it has none."""

    subscription: Subscription
    table: Described
    visible: bool
    passes: bool


def receivers_of(change: Change, rendered: Rendered, seers: Sequence[Seer]) -> Receivers:
    """Bindings of one feed that get the same data get it once, with the ids of them all."""
    texts: dict[tuple[str, tuple[str, ...] | None], bytes] = {}
    ids: dict[tuple[Feed, bytes], list[int]] = {}
    for seer in seers:
        item = seer.subscription
        if item.wanted.event not in ("*", change.action):
            continue
        error = error_of(change, seer.table)
        if error is None and not (seer.visible and seer.passes):
            continue
        choice = (item.identity.role, item.wanted.columns)
        if choice not in texts:
            texts[choice] = (
                records.data(rendered, seer.table, item.wanted.columns)
                if error is None
                else records.refusal(change, error)
            )
        ids.setdefault((item.feed, texts[choice]), []).append(item.id)
    return [(feed, tuple(found), text) for (feed, text), found in ids.items()]


def to_ask(changes: Mapping[int, Change], table: Described) -> tuple[set[int], dict[int, list[str]]]:
    """Numbers of those that are visible without a question, and the keys of those that PostgreSQL has to be asked for."""
    if not table.rls:
        return set(changes), {}
    visible, keys = set[int](), dict[int, list[str]]()
    for number, change in changes.items():
        if change.action == "DELETE":
            visible.add(number)
        elif error_of(change, table) is None:
            new, _ = records.rows_of(change, table.key)
            keys[number] = [text_of((new or {}).get(column)) or "" for column in table.key]
    return visible, keys


def error_of(change: Change, table: Described) -> str | None:
    """Why a role may not get this change, or None. Deletions are for everybody."""
    if change.action == "DELETE":
        return None
    if not table.key:
        return records.NO_KEY
    if not table.readable.issuperset(table.key):
        return records.UNAUTHORIZED
    return None


def text_of(value: bytes | Unchanged | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else None
