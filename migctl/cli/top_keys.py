"""The keys of `migctl top`: what is asked next, and what is to be done. Pure: fed with what was typed.

| state    | typed                                 | afterwards                                         |
|----------|---------------------------------------|----------------------------------------------------|
| idle     | p, a, t                               | asks for the reason                                |
| idle     | n                                     | asks for a word                                    |
| idle     | q                                     | quit                                               |
| idle     | Ctrl-C                                | interrupt: the same, with exit code 130            |
| reason   | text, backspace                       | the reason, as it grows                            |
| reason   | Enter, with a reason                  | asks for a word                                    |
| reason   | Enter, without                        | asks for the reason again                          |
| word     | y                                     | the act is to be done; idle                        |
| word     | anything else                         | nothing is done; idle                              |
| any      | Escape; Ctrl-C but in idle            | nothing is done; idle                              |
| any      | an arrow, or another such key         | as before                                          |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Act = Literal["pause", "abort", "throttle", "no-throttle"]
Quit = Literal["quit", "interrupt"]

_ACTS: dict[str, Act] = {"p": "pause", "a": "abort", "t": "throttle", "n": "no-throttle"}
_QUESTIONS: dict[Act, str] = {
    "pause": "pause the rollout: the walk stops, shares stay",
    "abort": "ABORT the rollout: everybody back to the WebSocket, at once",
    "throttle": "throttle the relay: nothing is written to the table",
    "no-throttle": "lift the throttle: the relay writes again",
}
IDLE = "p pause rollout   a abort rollout   t throttle   n no-throttle   q quit"
IDLE_AFAR = "p pause rollout   a abort rollout   q quit"
NOTHING = "nothing was done"
MOST_CHARS = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """Confirmed by a person."""

    act: Act
    reason: str


class Keys:
    """hint: what became of the last; empty where there is nothing to say. afar: the serve is elsewhere: t and n do nothing."""

    def __init__(self, *, afar: bool = False) -> None:
        self.hint = ""
        self._afar = afar
        self._act: Act | None = None
        self._reason = ""
        self._confirming = False

    @property
    def prompt(self) -> str:
        """What is asked now, in one line."""
        if self._act is None:
            return IDLE_AFAR if self._afar else IDLE
        if self._confirming:
            why = f" ({self._reason})" if self._reason else ""
            return f"{_QUESTIONS[self._act]}{why}? y: do it, any other key: don't"
        return f"{_QUESTIONS[self._act]}. Why? {self._reason}_"

    def feed(self, typed: str) -> Wanted | Quit | None:
        """typed: what one read of the terminal brought: some keys, or the several bytes of one."""
        if len(typed) > 1 and typed.startswith("\x1b"):
            return None
        for key in typed:
            if (wanted := self._key(key)) is not None:
                return wanted
        return None

    def _key(self, key: str) -> Wanted | Quit | None:
        if self._act is None:
            if key == "q":
                return "quit"
            if key == "\x03":
                return "interrupt"
            if self._afar and key in ("t", "n"):
                self.hint = "over its control socket alone: `migctl ctl throttle` on its machine"
                return None
            self._act = _ACTS.get(key)
            if self._act is not None:
                self.hint, self._reason, self._confirming = "", "", self._act == "no-throttle"
            return None
        if key in ("\x1b", "\x03"):
            self._leave()
            return None
        if self._confirming:
            if key != "y":
                self._leave()
                return None
            wanted = Wanted(self._act, self._reason)
            self._act = None
            return wanted
        if key in ("\r", "\n"):
            self._reason = self._reason.strip()
            self._confirming = bool(self._reason)
            self.hint = "" if self._confirming else "a reason is needed: it is in the history"
        elif key in ("\x7f", "\b"):
            self._reason = self._reason[:-1]
        elif key.isprintable() and len(self._reason) < MOST_CHARS:
            self._reason += key
        return None

    def _leave(self) -> None:
        self._act, self.hint = None, NOTHING
