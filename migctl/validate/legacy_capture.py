"""Capture of the old socket: what a dashboard of the old protocol receives, of `serve` or of any old service.

A line is a frame: `{"received_at", "events": [{"event_type", "data"}]}`, or `text` where no event is in it. The old protocol has no
position and no id: what is missed without a socket is missed, so a capture that lost its socket is not complete.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from migctl import clock
from migctl.errors import MigctlError, TokenRefused
from migctl.events import format_time
from migctl.events.jsontext import one_line, quote
from migctl.subscriber.gateway.client import CLOSE_S, LOST, OPEN_S, Address
from migctl.transports.dialing import Followed, Keeping
from migctl.validate.capture import ASK_EVERY_S, Until
from migctl.validate.capture_file import CaptureFile, CaptureSummary

GIVE_TOKEN = "set MIGCTL_TOKEN, and write the address of a serve with http://: what --url names with ws:// gets no token"
AGAIN_S = 0.2
ANSWER_S = 1.0
# After the stop: as long without a frame, and what was committed before has come.
QUIET_S = 1.0

# Type and data of each event in a frame. The type is None where frames are the data alone.
ReadFrame = Callable[[bytes], list[tuple[str | None, bytes]]]


def line_of(frame: bytes, received_at: str, read: ReadFrame) -> bytes:
    """What is written of a frame, without its newline."""
    events = [
        b'{"event_type":%b,"data":%b}' % (b"null" if of is None else quote(of), one_line(data))
        for of, data in read(frame)
    ]
    text = b"" if events else b',"text":' + quote(frame.decode("utf-8", "backslashreplace"))
    return b'{"received_at":"%b","events":[%b]%b}' % (received_at.encode(), b",".join(events), text)


@dataclass(slots=True)
class LegacyCapture:
    """One capture, `run` once. token: for a `serve` that asks for one. wait_s: for a server that is not there yet."""

    url: str
    file: CaptureFile
    read: ReadFrame
    token: str | None = None
    until: Until = field(default_factory=Until)
    keeping: Keeping = field(default_factory=Keeping)
    wait_s: float = 10.0
    print_line: Callable[[str], None] = lambda _: None
    _times: dict[str, str] = field(default_factory=dict)
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _connected: bool = False
    _lost: int = 0
    _last_at: float = 0.0

    async def run(self, stop: asyncio.Event, stop_now: asyncio.Event) -> CaptureSummary:
        """Capture until `stop`, or until a bound is met; the summary, which then also stands beside the lines.

        Raises Transient, Usage or TokenRefused where there is no socket, and Systemic where the disk is full.
        """
        self._times["started_at"] = format_time(clock.now())
        listening = asyncio.create_task(self._listen())
        complete, reason = False, "failed"
        try:
            why = await self._until_asked(listening, stop)
            if not self._ready.is_set():
                reason = "stopped before it was ready"
            else:
                self._times["stop_requested_at"] = format_time(clock.now())
                self.print_line(f"stopping ({why}): at most {self.until.drain_s:g} s for what is on its way")
                hurried = await self._drain(listening, stop_now)
                complete, reason = self._judged(why, hurried=hurried)
        except MigctlError as error:
            reason = error.what
            raise
        finally:
            listening.cancel()
            await asyncio.wait({listening})
            summary = self._summary(complete=complete, reason=reason)
            with contextlib.suppress(*(() if complete else (MigctlError,))):
                self.file.finish(summary)
        return summary

    async def _listen(self) -> None:
        """Until cancelled."""
        address, give_up_at = Address(self.url), clock.mono() + self.wait_s
        while True:
            try:
                await self._once()
            except LOST as error:
                self._lost += self._connected
                self._connected = False
                is_met = self._ready.is_set()
                failure = address.unreachable(error, met=is_met)
                if isinstance(failure, TokenRefused) and self.token is None:
                    failure = TokenRefused(failure.what, do=GIVE_TOKEN)
                if not failure.retry or (not is_met and clock.mono() >= give_up_at):
                    raise failure from error
            await asyncio.sleep(AGAIN_S)

    async def _once(self) -> None:
        """One socket, to its end."""
        async with Followed(
            self.url,
            additional_headers={"Authorization": f"Bearer {self.token}"} if self.token else None,
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
            ping_interval=self.keeping.ping_every_s,
            ping_timeout=self.keeping.silence_s,
            max_size=self.keeping.max_frame_bytes,
        ) as socket:
            # Who answers has taken this socket among the others. Some old services answer no ping.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_S):
                    await (await socket.ping())
            self._connected, self._last_at = True, clock.mono()
            if not self._ready.is_set():
                self.file.open()
                self._times["ready_at"] = format_time(clock.now())
                self._ready.set()
                self.print_line("ready: legacy")
            while True:
                frame = await socket.recv(decode=False)
                self._last_at = clock.mono()
                self.file.append([line_of(frame, format_time(clock.now()), self.read)])

    async def _until_asked(self, listening: asyncio.Task[None], stop: asyncio.Event) -> str:
        """Wait for whatever ends the capture; its name. Raises what ended `listening`."""
        until, over_at = self.until, None
        while not stop.is_set():
            now = clock.mono()
            if self._ready.is_set():
                over_at = over_at or now + (until.after_s if until.after_s is not None else float("inf"))
                if now >= over_at:
                    return "time"
                if until.count is not None and self.file.lines >= until.count:
                    return "count"
                if until.idle_s is not None and self._connected and now >= self._last_at + until.idle_s:
                    return "idle"
            await self._step(listening, stop)
        return "stopped"

    async def _drain(self, listening: asyncio.Task[None], stop_now: asyncio.Event) -> bool:
        """Go on until it was quiet for a while; whether it was hurried instead."""
        asked_at = clock.mono()
        while not stop_now.is_set():
            now = clock.mono()
            if now >= asked_at + self.until.drain_s or now >= max(asked_at, self._last_at) + QUIET_S:
                return False
            await self._step(listening, stop_now)
        return True

    async def _step(self, listening: asyncio.Task[None], stop: asyncio.Event) -> None:
        """Wait for a moment, or for what ends it. Raises what ended `listening`."""
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait({listening, stopped}, timeout=ASK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if listening.done():
            listening.result()

    def _judged(self, why: str, *, hurried: bool) -> tuple[bool, str]:
        if hurried:
            return False, f"{why}, but was told to stop at once"
        if self._lost:
            return (
                False,
                f"{why}, but it lost its socket {self._lost} times, and the old protocol repeats nothing",
            )
        return True, why

    def _summary(self, *, complete: bool, reason: str) -> CaptureSummary:
        return CaptureSummary(
            transport="legacy",
            role="subscriber",
            started_at=self._times["started_at"],
            ready_at=self._times.get("ready_at"),
            stop_requested_at=self._times.get("stop_requested_at"),
            ended_at=format_time(clock.now()),
            began=None,
            reached=None,
            received=self.file.lines,
            repeats_dropped=0,
            gaps_repaired=0,
            reconnects=self._lost,
            discontinuities=[],
            complete=complete,
            reason=reason,
        )
