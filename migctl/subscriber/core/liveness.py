"""Liveness: whether a link is to be kept, left or joined anew, by what was heard over it. Pure: time is passed in.

| state  | `join`            | `hear`            | `lose`                        | `decide`                                        |
|--------|-------------------|-------------------|-------------------------------|-------------------------------------------------|
| away   | joined, since now | away              | away, since when it was       | rejoin                                          |
| joined | joined, since now | joined, heard now | away, since now               | keep, until nothing was heard for `silence_s`   |
| silent | joined, since now | joined, heard now | away, since it was last heard | leave                                           |

Silent is a joined link over which nothing was heard for `silence_s`, counted from its joining: nobody says that it is lost. `start`
begins a time away: until it has joined, a link that is wanted from now on is away since now.
"""

from __future__ import annotations

from typing import Literal

from migctl.subscriber.core.attachment import Observed

Verdict = Literal["keep", "leave", "rejoin"]


class Liveness:
    """Of one link, over all its lives. silence_s: may be set anew at any time; the other end says how often it speaks."""

    def __init__(self, now: float, *, silence_s: float) -> None:
        self.silence_s = silence_s
        self.up = False
        self._since = now
        self._heard_at: float | None = None

    @property
    def observed(self) -> Observed:
        """For Attachment."""
        return Observed(self.up, self._since, self._heard_at, self.silence_s)

    @property
    def silent_at(self) -> float:
        """When it counts as silent, if nothing comes; only while it is up."""
        return self._last_heard() + self.silence_s

    def start(self, now: float) -> None:
        """It is wanted from now on."""
        if not self.up:
            self._since = now

    def join(self, now: float) -> None:
        """It is joined, and able to bring something."""
        self.up, self._since = True, now

    def hear(self, now: float) -> None:
        """Something came over it. What comes late of a life that is over brings nothing back."""
        if self.up:
            self._heard_at = now

    def lose(self, now: float) -> None:
        """It is over, whoever ended it."""
        if self.up:
            self._since = self._last_heard() if now >= self.silent_at else now
            self.up = False

    def decide(self, now: float) -> Verdict:
        if not self.up:
            return "rejoin"
        return "leave" if now >= self.silent_at else "keep"

    def _last_heard(self) -> float:
        return self._since if self._heard_at is None else max(self._since, self._heard_at)
