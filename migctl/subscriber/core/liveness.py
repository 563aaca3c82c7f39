"""Liveness: whether a link is to be kept, asked, left or joined anew, by what was heard over it. Pure: time is passed in.

|          | away                    | joined                   | doubted                   | silent, or mute               |
|----------|-------------------------|--------------------------|---------------------------|-------------------------------|
| `join`   | joined, since now       | joined, since now        | joined, since now         | joined, since now             |
| `hear`   | away                    | joined, heard now        | joined, heard now         | joined, heard now             |
| `ask`    | away                    | doubted                  | doubted, since now        | doubted; silent stays silent  |
| `answer` | away                    | joined                   | joined                    | joined; silent stays silent   |
| `lose`   | away, since when it was | away, since now          | away, since now           | away, since it was last heard |
| `decide` | rejoin                  | keep; ask where quiet    | keep                      | leave                         |

Nobody says that a connection is lost that stays open and brings nothing: a router forgot it, its server's host is gone.
Silent is a joined link over which nothing was heard for `silence_s`, counted from its joining. That is long, since heartbeats are
rare. Quiet it is much sooner: where something used to come all the time, nothing comes. Then it is asked over itself (`ask`), and
is doubted until anything comes; mute, where that takes longer than `patience` knows of answers. An answer proves the line and not
who speaks over it, so that silence is counted on.

A verdict to leave that is found late (`LATE_S`) is nobody's silence: this process stood still, and what came meanwhile is not read
yet. Once, the link is given as long again as it would have had (`excuse`).

`start` begins a time away: until it has joined, a link that is wanted from now on is away since now.
"""

from __future__ import annotations

from typing import Literal

from migctl.resilience import RequestTimeout
from migctl.subscriber.core.attachment import Observed

Verdict = Literal["keep", "ask", "leave", "rejoin"]

# Quiet is what has brought nothing for so long, and for so many times as long as it usually brings nothing.
QUIET_S = 0.75
QUIET_TIMES = 1.25
# A pause is usual for about so long.
FORGET_S = 10.0
LATE_S = 0.3

_NEVER = float("-inf")


def patience() -> RequestTimeout:
    """How long an answer over a link is awaited."""
    return RequestTimeout(1.5, 0.75, 10.0)


class Liveness:
    """Of one link, over all its lives.

    silence_s: may be set anew at any time; the other end says how often it speaks. asks: the link can be asked; `join` sets it.
    """

    def __init__(self, now: float, *, silence_s: float) -> None:
        self.silence_s = silence_s
        self.up = False
        self._asks = False
        self._since = now
        self._heard_at: float | None = None
        self._usual_s = 0.0
        self._asked_at: float | None = None
        self._answered_at = self._excused_at = _NEVER
        self._answers = 0  # in a row, with nothing heard in between
        self._patience = patience()

    @property
    def observed(self) -> Observed:
        """For Attachment."""
        return Observed(self.up, self._since, self._heard_at, self.silence_s)

    @property
    def next_at(self) -> float:
        """When `decide` may say something else, if nothing comes; only while it is up."""
        if self._asks and self._asked_at is None:
            return min(self._quiet_at(), self._silent_at())
        return self._leave_at()

    @property
    def reason(self) -> str:
        """Of the verdict to leave."""
        if self._asked_at is None or self._silent_at() <= self._mute_at(self._asked_at):
            return f"no heartbeat for {self.silence_s:g} s"
        return f"nothing came any more, and no answer for {self._patience.seconds():.3g} s"

    def start(self, now: float) -> None:
        """It is wanted from now on."""
        if not self.up:
            self._since = now

    def join(self, now: float, *, asks: bool = False, took_s: float | None = None) -> None:
        """It is joined, and able to bring something. took_s: how long the answer to the joining took."""
        self.up, self._since, self._asks = True, now, asks
        self._asked_at = None
        self._answered_at = self._excused_at = _NEVER
        self._answers = 0
        if took_s is not None:
            self._patience.answered(took_s)

    def hear(self, now: float) -> None:
        """Something came over it. What comes late of a life that is over brings nothing back."""
        if not self.up:
            return
        gap_s = now - self._last_heard()
        usual_s = self._usual_s * (1 - gap_s / FORGET_S)
        self._usual_s = usual_s if usual_s > gap_s else gap_s
        self._heard_at = now
        self._asked_at = None
        self._answers = 0

    def ask(self, now: float) -> None:
        """It was asked."""
        self._asked_at = now

    def answer(self, now: float) -> None:
        """The answer to what was asked has come."""
        if self.up and self._asked_at is not None:
            self._patience.answered(now - self._asked_at)
            self._asked_at, self._answered_at = None, now
            self._answers += 1

    def excuse(self, now: float) -> None:
        """That nothing was heard until now is not its fault: nobody listened."""
        self._excused_at = now

    def lose(self, now: float) -> None:
        """It is over, whoever ended it."""
        if not self.up:
            return
        self._since = self._last_heard() if now >= self._leave_at() else now
        if self._asked_at is not None and now >= self._mute_at(self._asked_at):
            self._patience.timed_out()
        self.up, self._asked_at = False, None

    def decide(self, now: float) -> Verdict:
        if not self.up:
            return "rejoin"
        leave_at = self._leave_at()
        if now >= leave_at:
            if now < leave_at + LATE_S or self._excused_at > self._last_heard():
                return "leave"
            self.excuse(now)
        elif self._asks and self._asked_at is None and now >= self._quiet_at():
            return "ask"
        return "keep"

    def _last_heard(self) -> float:
        return self._since if self._heard_at is None else max(self._since, self._heard_at)

    def _silent_at(self) -> float:
        return max(self._last_heard(), self._excused_at) + self.silence_s

    def _quiet_at(self) -> float:
        # Who is quiet and answers is asked half as often each time.
        quiet_s = max(QUIET_S, QUIET_TIMES * self._usual_s) * 2.0 ** min(self._answers, 30)
        return max(self._last_heard(), self._answered_at, self._excused_at) + quiet_s

    def _mute_at(self, asked_at: float) -> float:
        return max(asked_at, self._excused_at) + self._patience.seconds()

    def _leave_at(self) -> float:
        silent_at = self._silent_at()
        return silent_at if self._asked_at is None else min(silent_at, self._mute_at(self._asked_at))
