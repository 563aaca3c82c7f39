"""Kept: the variant that a percentage gave a user once, and that the user keeps while percentages change. Pure; others store it.

| what comes, and while it holds                                       | what the user has                             |
|----------------------------------------------------------------------|-----------------------------------------------|
| the weights change, and what is kept has some of them                | what is kept                                  |
| a rule that names the user, or other conditions, a segment, decide   | what those say                                |
| the kill switch of the environment                                   | what it says                                  |
| the flag is DISABLED                                                 | what the code, or the WebSocket, is           |
| a brake                                                              | what it leaves; nobody is sent up by it       |
| what is kept has 0 %, or another one 100 %; it was removed           | what the flag says (note)                     |
| the experiment has ended                                             | what the flag says                            |

(note) Where that is by chance among several of the rest, it is kept from then on. Of the switch only `otherwise` can be kept.

What is kept is forgotten by nobody meanwhile: it depends on no question that was asked or not asked while such a row held.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from migctl.flags.assignment import Assignments
from migctl.flags.logic import TARGETING_KEY, Context

# What keeps: the assignments that answer, the flag, the context. None where nothing is kept.
KeptOf = Callable[[Assignments, str, Context], str | None]


def nothing_kept(_of: Assignments, _key: str, _context: Context) -> None:
    """Where no flag keeps anything."""


@dataclass(frozen=True, slots=True)
class Kept:
    """variant: what a percentage gave. percent: of the opened variant, by which the user was drawn; of others, of that variant."""

    variant: str
    percent: float


class Keeper(Protocol):
    """Who stores it. Nothing here waits, and nothing raises; from any thread."""

    def keeps(self, flag: str) -> bool:
        """Whether this flag keeps anything today."""
        ...

    def kept(self, flag: str, place: str, user: str) -> Kept | None:
        """place: of the split, since one user may be drawn by several."""
        ...

    def keep(self, flag: str, place: str, user: str, kept: Kept) -> None:
        """From now on."""
        ...


def kept_by(keeper: Keeper | None, of: Assignments, key: str, context: Context) -> Kept | None:
    """What this user keeps of the percentage that decides now."""
    if keeper is None or not keeper.keeps(key):
        return None
    user = context.get(TARGETING_KEY)
    split = of.split(key, context)
    if split is None or not isinstance(user, str):
        return None
    return keeper.kept(key, split.place, user)


def keep_drawn(
    keeper: Keeper | None, of: Assignments, key: str, context: Context, variant: str, reason: str
) -> Kept | None:
    """Keep what a user was handed, where chance gave it. Answers what is kept now; None where something else decided.

    Under a brake nothing is kept: whom it caps was not drawn, and those who are left would be too many of one kind. Of the switch
    the lowest share is kept by which the user was asked for: nobody is held on the opened variant, so that share is the one
    by which the user has what he has.
    """
    if (
        keeper is None
        or not keeper.keeps(key)
        or of.is_braked(key)
        or reason not in ("TARGETING_MATCH", "KEPT")
    ):
        return None
    user = context.get(TARGETING_KEY)
    split = of.split(key, context)
    if split is None or not isinstance(user, str) or not split.may_give(variant):
        return None
    is_switch = key == of.switch.flag
    now = Kept(variant, split.percent(of.switch.opened if is_switch else variant))
    before = keeper.kept(key, split.place, user)
    if before is not None and (now.percent >= before.percent if is_switch else variant == before.variant):
        return before
    keeper.keep(key, split.place, user, now)
    return now
