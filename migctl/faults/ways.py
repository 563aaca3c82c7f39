"""The ways in which a line fails that read what comes by, or strike whoever comes next: what no toxic does. Pure.

What strikes once is over when it has struck; the rest lasts until `heal`.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

# What a proxy is told. `refuse` also resets who is there; `count` changes nothing.
Word = Literal["delay", "refuse", "reset", "black_hole", "lose_answers", "cut_after", "heal", "count"]
WORDS: tuple[Word, ...] = get_args(Word)


class Counts(msgspec.Struct, frozen=True):
    """connections: since the start. open: now. cuts: answers that were lost or cut. bytes: from clients (up) and to them (down)."""

    connections: int
    open: int
    cuts: int
    bytes_up: int
    bytes_down: int


class Ways:
    """Of one proxy. delay_s: each way; no failure, and so left alone by `heal`."""

    def __init__(self, *, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.refusing = False
        self._lose_once: bytes | None = None
        self._lose_always: bytes | None = None
        self._then_refuse = False
        self._refused_start: bytes | None = None
        self._cut_after: int | None = None

    # Armed and lifted

    def lose_next_answer_to(self, request: bytes, *, then_refuse: bool = False) -> None:
        """Of the next request that holds these bytes. then_refuse: from then on nobody is let in."""
        self._lose_once, self._then_refuse = request, then_refuse

    def lose_answers_to(self, request: bytes | None) -> None:
        """Of each request that holds these bytes; None lifts it."""
        self._lose_always = request

    def refuse_requests(self, start: bytes | None) -> None:
        """Connections whose first bytes hold these; None lifts it."""
        self._refused_start = start

    def cut_after(self, count: int) -> None:
        """One connection, after this many more bytes of answers, whosever they are."""
        self._cut_after = count

    def heal(self) -> None:
        self.refusing = self._then_refuse = False
        self._lose_once = self._lose_always = self._refused_start = self._cut_after = None

    # Asked for each chunk

    def refuses(self, began: bytes) -> bool:
        """Whether a connection that began with these bytes is reset."""
        return self._refused_start is not None and self._refused_start in began

    def loses_answer_to(self, request: bytes) -> bool:
        """Whether the answer to this is lost. One that was to be lost once is lost by being asked for."""
        if self._lose_once is not None and self._lose_once in request:
            self._lose_once = None
            return True
        return self._lose_always is not None and self._lose_always in request

    def answer_lost(self) -> bool:
        """An answer was lost: whether every other connection goes with it, and nobody is let in from now on."""
        then_refuse, self._then_refuse = self._then_refuse, False
        self.refusing = self.refusing or then_refuse
        return then_refuse

    def passes_of(self, answer: bytes) -> int | None:
        """How many bytes of this answer still pass before its connection is reset; None: all of it, and it is not."""
        if self._cut_after is None:
            return None
        if len(answer) < self._cut_after:
            self._cut_after -= len(answer)
            return None
        passes, self._cut_after = self._cut_after, None
        return passes
