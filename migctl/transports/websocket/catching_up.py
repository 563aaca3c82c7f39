"""Catching up: what a subscriber missed, read from the journal at its own pace, until it meets the live edge and joins it."""

from __future__ import annotations

from aiohttp import ClientConnectionResetError
from aiohttp.abc import AbstractStreamWriter

from migctl.clock import now
from migctl.journal import Log
from migctl.resilience import within
from migctl.transports.websocket import frames
from migctl.transports.websocket.live import Live
from migctl.transports.websocket.session import Session

# What one write holds at most, beyond a single larger event; between two the event loop looks after everything else.
RUN_BYTES = 256 << 10


class CatchingUp:
    """stall_s: how long a subscriber may take for the next run before it is closed as slow."""

    def __init__(self, journal: Log, live: Live, *, legacy_frame: frames.LegacyFrame, stall_s: float) -> None:
        self._journal = journal
        self._live = live
        self._legacy_frame: frames.LegacyFrame = legacy_frame
        self._stall_s = stall_s

    async def run(self, session: Session, after: int, writer: AbstractStreamWriter) -> None:
        """From `after` to the live edge. The session has joined, or is closed, when this returns; and is closed when it raises."""
        try:
            await self._read_up(session, after, writer)
        except Exception:
            # Without this the socket would stay open and silent. The error itself comes out of `Gateway.handle`.
            self._live.close(session, frames.INTERNAL, "an error of ours")
            raise

    def join(self, session: Session) -> None:
        """At the live edge already."""
        if session.write(frames.caught_up(seq=session.after, now=now())):
            self._live.join(session)

    async def _read_up(self, session: Session, after: int, writer: AbstractStreamWriter) -> None:
        live, epoch = self._live, self._live.epoch
        while after < live.delivered:
            page = await self._journal.read(after, max_bytes=RUN_BYTES)
            if session.closed:
                return
            if epoch != live.epoch or (page and page[0].epoch != epoch):
                live.close(session, frames.ROTATED, "epoch rotated")
                return
            if not page or page[0].seq != after + 1:
                live.close(session, frames.OVERTAKEN, "retention overtook this reader")
                return
            run = frames.Run(page, self._legacy_frame)
            if not session.write(run.v2()):
                return
            live.frames_written += len(page)
            after = run.last
            try:
                if not await within(self._stall_s, writer.drain()):
                    live.close(session, frames.SLOW, "slow: resume from your position")
                    return
            except (ConnectionError, ClientConnectionResetError):
                return
        # Nothing is awaited between the last comparison and joining: the missed part and the live one meet exactly.
        session.after = after
        self.join(session)
