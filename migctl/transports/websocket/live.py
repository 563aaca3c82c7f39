"""Live: the live edge of the gateway, and the sessions that are at it. Each run of entries is framed once and written to all.

Nothing is awaited here, so what a session gets is decided in one moment: it misses nothing, and gets nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from migctl.clock import now
from migctl.telemetry.trail import Trail
from migctl.transports import wire
from migctl.transports.websocket import frames
from migctl.transports.websocket.session import Session


class Live:
    """epoch, delivered: the live edge; everybody who joined has got this seq."""

    def __init__(self, epoch: str, delivered: int, *, grace_s: float) -> None:
        self.epoch = epoch
        self.delivered = delivered
        self.frames_written = 0
        self.trail = Trail()
        self.trail.begin(epoch, delivered)
        self.grace_s = grace_s
        self._left: set[str] = set()
        self._v2: set[Session] = set()
        self._legacy: set[Session] = set()

    def __len__(self) -> int:
        return len(self._v2) + len(self._legacy)

    def __contains__(self, session: Session) -> bool:
        """It is at the live edge."""
        return session in self._v2 or session in self._legacy

    def join(self, session: Session) -> None:
        """From the next run on it gets all that is above its own `after`."""
        (self._legacy if session.form == "legacy" else self._v2).add(session)

    def position(self, session: Session) -> str | None:
        """The last that it was sent, `epoch/seq`; None where it was sent nothing yet."""
        if session in self:
            return f"{self.epoch}/{max(session.after, self.delivered)}"
        return session.position

    def leave(self, session: Session) -> None:
        session.position = self.position(session)
        self._v2.discard(session)
        self._legacy.discard(session)

    def close(self, session: Session, code: int, reason: str) -> None:
        session.close(code, reason, grace_s=self.grace_s)
        self.leave(session)

    def close_all(self, code: int, reason: str, sessions: Iterable[Session]) -> None:
        for session in tuple(sessions):
            self.close(session, code, reason)

    def ping(self, sessions: Iterable[Session], moment: float, *, ping_every_s: float) -> None:
        """Ask everybody for a sign of life; close who has given none for too long. moment: monotonic seconds."""
        for session in tuple(sessions):
            if session.is_silent(moment, ping_every_s=ping_every_s):
                self.close(session, frames.SILENT, "no answer to pings")
            elif not session.write(frames.PING):
                self.leave(session)

    def answer(self, session: Session, heartbeat: Callable[[], bytes]) -> None:
        """Answer who asks; who asks all the time is answered now and then."""
        if session.heard_at < session.answered_at + wire.ANSWER_EVERY_S:
            return
        session.answered_at = session.heard_at
        frame = heartbeat()
        if session.close_code is None and not session.write(frame):
            self.leave(session)

    def has_left(self, epoch: str) -> bool:
        """True for an epoch before this one: its v2 subscribers were closed, and what it ended with is behind the legacy ones."""
        return epoch in self._left

    def enter(self, epoch: str) -> bool:
        """The epoch that the journal is in; True for a new one: v2 sessions must come again, and legacy ones just go on."""
        if epoch == self.epoch:
            return False
        for session in self._v2:
            session.position = self.position(session)
        self._left.add(self.epoch)
        self.epoch, self.delivered = epoch, 0
        for session in self._legacy:
            session.after = 0
        return True

    def fan_out(self, run: frames.Run) -> None:
        """Write a run to everybody at the live edge, which moves to its end. Who does not keep up leaves."""
        self.delivered = run.last
        if self._v2:
            self._write(self._v2, run, run.v2)
        if self._legacy:
            self._write(self._legacy, run, run.legacy)
        self.trail.passed(self.epoch, run.last, now(), "frame", count=len(self))

    def _write(self, live: set[Session], run: frames.Run, form: Callable[[int], bytes]) -> None:
        whole = form(0)
        first, last, count = run.first, run.last, run.last - run.first + 1
        gone: list[Session] = []
        for session in live:
            after = session.after
            if after < first:
                chunk = whole
            elif after >= last:
                continue
            else:
                chunk = form(after)
            if chunk and not session.write(chunk):
                gone.append(session)
        self.frames_written += count * (len(live) - len(gone))
        for session in gone:
            live.discard(session)
            session.position = f"{self.epoch}/{max(session.after, first - 1)}"
