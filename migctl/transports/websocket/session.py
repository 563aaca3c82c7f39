"""Session: one subscriber's socket, as the gateway writes to it.

The transport's write buffer is the queue; it is bounded in bytes, and nothing waits for it on the live path. All frames of a
socket, control frames too, are written here, each in one call, so they never mix. A subscriber that does not keep up is closed
(4408) after all that was queued: what it has is contiguous, and it can resume.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Literal

from migctl.clock import mono
from migctl.status import TransportName
from migctl.transports import wire
from migctl.transports.websocket import frames

# piped: a socket of the old protocol that the old service serves, through us.
Form = Literal["v2", "legacy", "piped"]


class Session:
    """Open until `closed`; `after` is the last seq that it must not get again when it joins the live edge.

    user: whom it is for; None takes no assignment. assigned: the transport that the flag gives that user, as of the last check.
    notified, notified_n: the transport that it was sent to, and by the flag set of which number; notified_brake: for a brake.
    fallback: it is here while Realtime, which it was sent to, has failed. since: monotonic, as `heard_at`.
    position: the last that it was sent while it is not at the live edge; caught_up_to: when that was committed, of one that catches
    up. waits_since: monotonic, since when its queue has not been empty, as far as what was written to it shows. token: the name of
    the one that it came with. witness: it is the witness's own. answered_at: when it was answered the last time, what it asked.
    """

    __slots__ = (
        "_abort",
        "_transport",
        "after",
        "answered_at",
        "assigned",
        "caught_up_to",
        "close_code",
        "fallback",
        "form",
        "heard_at",
        "max_queue_bytes",
        "notified",
        "notified_brake",
        "notified_n",
        "peer",
        "position",
        "since",
        "standby",
        "token",
        "user",
        "waits_since",
        "witness",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        *,
        form: Form,
        standby: bool,
        peer: str,
        max_queue_bytes: int,
        heard_at: float,
        user: str | None = None,
        notified: TransportName | None = None,
        fallback: bool = False,
        token: str | None = None,
        witness: bool = False,
    ) -> None:
        self._transport = transport
        self._abort: asyncio.TimerHandle | None = None
        self.form: Form = form
        self.standby = standby
        self.peer = peer
        self.max_queue_bytes = max_queue_bytes
        self.heard_at = heard_at
        self.since = heard_at
        self.answered_at = float("-inf")
        self.token = token
        self.witness = witness
        self.position: str | None = None
        self.caught_up_to: datetime | None = None
        self.waits_since: float | None = None
        self.after = 0
        self.close_code: int | None = None
        self.user = user
        self.notified: str = notified or self.transport
        self.notified_n = 0
        self.notified_brake = False
        self.assigned: str | None = None
        self.fallback = fallback

    @property
    def transport(self) -> TransportName:
        """Which of the two brings events to whom this socket belongs."""
        return "realtime" if self.standby else "websocket"

    @property
    def is_on_realtime(self) -> bool:
        """It receives what is broadcast, or is about to. While Realtime has failed for it, it does not."""
        return self.standby or (self.notified == "realtime" and not self.fallback)

    @property
    def closed(self) -> bool:
        """True once a close frame was sent, or the connection is gone."""
        return self.close_code is not None or self._transport.is_closing()

    @property
    def queued_bytes(self) -> int:
        return 0 if self._transport.is_closing() else self._transport.get_write_buffer_size()

    def is_silent(self, now: float, *, ping_every_s: float) -> bool:
        """True where so many pings went unanswered that the connection counts as lost. now: monotonic seconds, as `heard_at`."""
        return now - self.heard_at > wire.silence_s(ping_every_s)

    def write(self, chunk: bytes) -> bool:
        """Queue whole frames. False where nothing was written: the session is closed, or was closed now for being slow."""
        transport = self._transport
        if self.close_code is not None or transport.is_closing():
            return False
        # Checked before, not after: a single frame larger than the bound still goes to a subscriber that keeps up.
        queued = transport.get_write_buffer_size()
        if queued > self.max_queue_bytes:
            self.close(frames.SLOW, "slow: resume from your position")
            return False
        if not queued:
            self.waits_since = None
        elif self.waits_since is None:
            self.waits_since = mono()
        transport.write(chunk)
        return True

    def close(self, code: int, reason: str = "", *, grace_s: float = 5.0) -> None:
        """Say goodbye after what is queued; cut the connection where that is not read, or not answered, within grace_s."""
        if self.closed:
            return
        self.close_code = code
        self._transport.write(frames.close(code, reason))
        self._abort = asyncio.get_running_loop().call_later(grace_s, self._transport.abort)

    def answer_close(self, code: int) -> None:
        """The client said goodbye: say it back, unless we said it first."""
        if not self.closed:
            self.close_code = frames.answer_to(code)
            self._transport.write(frames.close(self.close_code))

    def finish(self, *, grace_s: float = 5.0) -> None:
        """Close the connection once the queue is written, or after grace_s."""
        self._transport.close()
        if self._abort is None:
            # A peer that reads nothing would keep a closing transport for ever.
            self._abort = asyncio.get_running_loop().call_later(grace_s, self._transport.abort)

    def cut(self) -> None:
        """End the connection at once."""
        self._transport.abort()
