"""Catching up: what a subscriber missed, read from the journal at its own pace, until it meets the live edge and joins it.

What is read after a position, while the live edge is ahead of it; the first line that is so:

| the session | the epoch | the page | it |
|---|---|---|---|
| closed | any | any | ends: whoever closed it said why |
| open | the journal has entered another | any | is closed: epoch rotated |
| open | of the entries is another | any | is closed: epoch rotated |
| open | the same | empty, or begins after a hole | is closed: retention overtook it |
| open | the same | begins with the next seq | gets the page |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from aiohttp import ClientConnectionResetError
from aiohttp.abc import AbstractStreamWriter

from migctl.clock import now
from migctl.events import Entry
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
        self.stall_s = stall_s

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
        session.position = f"{epoch}/{after}"
        while after < live.delivered:
            page = await self._journal.read(after, max_bytes=RUN_BYTES)
            match step(page, after, epoch, live_epoch=live.epoch, closed=session.closed):
                case "end":
                    return
                case "rotated":
                    live.close(session, frames.ROTATED, "epoch rotated")
                    return
                case "overtaken":
                    live.close(session, frames.OVERTAKEN, "retention overtook this reader")
                    return
            run = frames.Run(page, self._legacy_frame)
            if not session.write(run.v2()):
                return
            live.frames_written += len(page)
            after = run.last
            session.position, session.caught_up_to = f"{epoch}/{after}", page[-1].committed_at
            try:
                if not await within(self.stall_s, writer.drain()):
                    live.close(session, frames.SLOW, "slow: resume from your position")
                    return
            except (ConnectionError, ClientConnectionResetError):
                return
        # Nothing is awaited between the last comparison and joining: the missed part and the live one meet exactly.
        session.after = after
        self.join(session)


def step(
    page: Sequence[Entry], after: int, epoch: str, *, live_epoch: str, closed: bool
) -> Literal["end", "rotated", "overtaken", "write"]:
    """What a page means for a reader at `after`. epoch: that it began in; live_epoch: of the live edge by now."""
    if closed:
        return "end"
    if epoch != live_epoch or (page and page[0].epoch != epoch):
        return "rotated"
    return "write" if page and page[0].seq == after + 1 else "overtaken"
