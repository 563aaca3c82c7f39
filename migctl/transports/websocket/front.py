"""Front: who feeds the sockets that are passed through to an old service: it, the journal, or both.

| `legacy.serve` | the old service's events | the journal's events |
|---|---|---|
| `upstream` | sent | not sent |
| `both` | sent | sent |
| `journal` | not sent: they come by the tap | sent |
| `auto` | sent | sent once the old service is away, or quiet for `quiet_s`, while the journal gets others, and those with it |

None is sent twice (`merging`). Greetings, replies and whatever else is no event pass in each. Where the journal feeds, a socket
stays when the old service goes. Quiet is one that may answer, and sends no event.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import timedelta

from migctl.clock import mono, now
from migctl.config.settings import LegacySection
from migctl.events import Entry, Event, Position
from migctl.status import UpstreamStatus
from migctl.status.delivery import Feeder, LegacyServe
from migctl.telemetry import get_logger
from migctl.transports.websocket import frames
from migctl.transports.websocket.merging import Content, Feeding, Merging, content_of
from migctl.transports.websocket.session import Session
from migctl.transports.websocket.upstream import Upstream

# Of what waits to be sent should the old service stay quiet; more is reason enough not to wait.
MAX_HELD_BYTES = 8 << 20
# Frames go to many sockets, each of which reads its own.
_KEPT_CONTENTS = 256
_KEPT_FRAME_BYTES = 64 << 10
_KEPT_GREETINGS = 64
_KEPT_GREETING_BYTES = 1 << 20

log = get_logger("gateway")


@dataclass(frozen=True, slots=True)
class Reading:
    """events_in: those in a frame of the old service; none in greetings and replies. tapped: ids of what the tap brought."""

    events_in: Callable[[bytes], Sequence[Event]]
    tapped: Container[str] = frozenset()


class Fed:
    """A socket that is passed through. after: where the journal was when it came. is_up: the old service is there for it."""

    def __init__(self, session: Session, after: Position, within_s: float) -> None:
        self.session = session
        self.merging = Merging(within_s)
        self.is_up = False
        self._after = after

    def has(self, position: Position) -> bool:
        """It was before its time."""
        return position.epoch == self._after.epoch and position.seq <= self._after.seq


@dataclass(frozen=True, slots=True)
class _Held:
    """An entry that was published and not sent. had: sockets that got the same of the old service before."""

    position: Position
    content: Content
    frame: bytes
    had: set[Fed]


class Front:
    """upstream: the old service. quiet_s, same_within_s: as in the settings."""

    def __init__(
        self,
        upstream: Upstream,
        reading: Reading,
        *,
        serve: LegacyServe = "auto",
        quiet_s: float = 10.0,
        same_within_s: float = 5.0,
        grace_s: float = 5.0,
    ) -> None:
        self.upstream = upstream
        self.grace_s = grace_s
        self.frames_written = 0
        self._reading = reading
        self._serve: LegacyServe = serve
        self._quiet_s = quiet_s
        self._same_within_s = same_within_s
        self._fed: set[Fed] = set()
        self._contents: OrderedDict[bytes, tuple[Content, ...]] = OrderedDict()
        self._greetings: OrderedDict[bytes, bytes] = OrderedDict()
        self._spoke = mono()
        self._turned = False
        self._turning: asyncio.TimerHandle | None = None
        self._held: list[_Held] = []
        self._held_bytes = 0
        self._unsent = 0
        self._unsent_since: float | None = None
        self._doubles = 0

    @property
    def feeding(self) -> Feeding:
        if self._serve == "auto":
            return "both" if self._turned else "upstream"
        return self._serve

    @property
    def journal_feeds(self) -> bool:
        return self.feeding != "upstream"

    def follow(self, of: LegacySection) -> None:
        """By these from now on, sockets that are open too."""
        self._quiet_s, self._same_within_s = of.quiet_s, of.same_within_s
        if of.serve == self._serve:
            return
        fed_before = self.journal_feeds
        self._serve, self._turned = of.serve, False
        log.info("who feeds old dashboards has changed", serve=of.serve)
        if self.journal_feeds:
            self._send_held()
        elif fed_before:
            for fed in self._fed:
                if not fed.is_up:
                    fed.session.close(frames.DRAINING, "the old service is away", grace_s=self.grace_s)
        if self._serve != "auto":
            self._let_go()

    # Sockets.

    def join(self, session: Session, after: Position) -> Fed:
        fed = Fed(session, after, self._same_within_s)
        self._fed.add(fed)
        return fed

    def leave(self, fed: Fed) -> None:
        self._fed.discard(fed)

    def greeting(self, who: bytes) -> bytes | None:
        """What the old service last greeted such a client with, framed."""
        return self._greetings.get(who)

    def greeted(self, who: bytes, frame: bytes) -> None:
        if len(frame) > _KEPT_GREETING_BYTES:
            return
        self._greetings[who] = frame
        self._greetings.move_to_end(who)
        if len(self._greetings) > _KEPT_GREETINGS:
            self._greetings.popitem(last=False)

    # What the old service sends.

    def contents(self, message: bytes) -> tuple[Content, ...]:
        """Of the events in a message; empty for what is none."""
        found = self._contents.get(message)
        if found is None:
            found = tuple(
                content_of(event) for event in self._reading.events_in(message) if not event.is_control
            )
            if len(message) <= _KEPT_FRAME_BYTES:
                self._contents[message] = found
                if len(self._contents) > _KEPT_CONTENTS:
                    self._contents.popitem(last=False)
        return found

    def passes(self, fed: Fed, contents: Sequence[Content]) -> bool:
        """Whether this socket gets a message with these events, which are at least one."""
        self._speaks()
        moment, feeding = mono(), self.feeding
        sent = [fed.merging.frame(content, feeding, moment) for content in contents]
        self._doubles += feeding == "both" and not any(sent)
        return any(sent)

    def _speaks(self) -> None:
        self._spoke = mono()
        if self._unsent_since is not None:
            self._let_go()

    def gone(self) -> None:
        """The old service is away: what waits need not wait for it."""
        if self._held:
            self._turn()

    def lost(self, fed: Fed) -> None:
        """The old service has gone for this socket, which stays."""
        fed.is_up = False
        self.settle(fed)

    def settle(self, fed: Fed) -> None:
        """Send what the old service owes this socket: it has gone, or is back since a moment and sent it just before."""
        if fed in self._fed:
            for frame in fed.merging.settled(mono()):
                self._write(fed, frame)

    # What the journal has.

    def carry(self, run: frames.Run) -> None:
        for entry, frame in run.each_legacy():
            if frame:
                self._carry(entry, frame)

    def _carry(self, entry: Entry, frame: bytes) -> None:
        if entry.event.id in self._reading.tapped:
            self._speaks()
            self._carry_tapped(entry, frame)
            return
        feeding, position = self.feeding, entry.position
        if not self._fed and feeding != "upstream":
            return
        content, moment = content_of(entry.event), mono()
        fed = [one for one in self._fed if not one.has(position)]
        lacking: set[Fed] = set()
        for one in fed:
            match one.merging.published(content, feeding, moment):
                case "sent":
                    self._write(one, frame)
                case "double":
                    self._doubles += 1
                case "lacking":
                    lacking.add(one)
        if feeding != "upstream" or (fed and not lacking):
            return
        self._unsent += 1
        if self._unsent_since is None:
            self._unsent_since = moment
        if self._serve == "auto":
            self._hold(_Held(position, content, frame, {one for one in fed if one not in lacking}))

    def _carry_tapped(self, entry: Entry, frame: bytes) -> None:
        if not self._fed:
            return
        content, moment, feeding = content_of(entry.event), mono(), self.feeding
        for one in self._fed:
            if not one.has(entry.position) and one.merging.tapped(
                content, frame, feeding, moment, is_up=one.is_up
            ):
                self._write(one, frame)

    def _write(self, fed: Fed, frame: bytes) -> None:
        self.frames_written += fed.session.write(frame)

    # Quiet.

    def _hold(self, held: _Held) -> None:
        """Keep it for when the old service proves to be quiet."""
        self._held.append(held)
        self._held_bytes += len(held.frame)
        if self._held_bytes > MAX_HELD_BYTES or self.upstream.reason is not None:
            self._turn()
        elif self._turning is None:
            self._turning = asyncio.get_running_loop().call_later(self._quiet_s, self._turn)

    def _turn(self) -> None:
        """From now on the journal feeds too: the old service sends nothing of what is published."""
        self._turned = True
        log.warning(
            "the old service is quiet, or away; its dashboards get the journal's events",
            first=str(self._held[0].position),
            events=len(self._held),
            sockets=len(self._fed),
        )
        self._send_held()

    def _send_held(self) -> None:
        moment, feeding = mono(), self.feeding
        for held in self._held:
            for fed in self._fed - held.had:
                if (
                    not fed.has(held.position)
                    and fed.merging.published(held.content, feeding, moment) == "sent"
                ):
                    self._write(fed, held.frame)
        self._let_go()

    def _let_go(self) -> None:
        """Nothing waits any more."""
        if self._turning is not None:
            self._turning.cancel()
            self._turning = None
        self._held, self._held_bytes = [], 0
        self._unsent, self._unsent_since = 0, None

    # Status.

    def status(self) -> UpstreamStatus:
        moment, at = mono(), now()
        quiet_for_s = moment - self._spoke
        unsent_for_s = 0.0 if self._unsent_since is None else moment - self._unsent_since
        is_dark = self._serve == "upstream" and unsent_for_s >= self._quiet_s
        open_ = [fed for fed in self._fed if not fed.session.closed]
        return UpstreamStatus(
            url=self.upstream.shown_url,
            failures=self.upstream.failures,
            reason=self.upstream.reason,
            serve=self._serve,
            feeding=self.feeding,
            fed_by=dict(Counter(self._feeder(fed) for fed in open_)),
            quiet_since=at - timedelta(seconds=quiet_for_s) if quiet_for_s >= self._quiet_s else None,
            unsent=self._unsent,
            dark_since=at - timedelta(seconds=unsent_for_s) if is_dark else None,
            doubles=self._doubles,
        )

    def _feeder(self, fed: Fed) -> Feeder:
        feeding = self.feeding
        return "journal" if feeding == "both" and not fed.is_up else feeding
