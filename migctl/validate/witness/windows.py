"""Windows: what the witness heard goes in, one window after another comes out. Pure: it has no clock but the ticks it is given.

An event belongs to the window in which the journal committed it. A window closes a grace after its end: what comes by then is not
missing. Whatever the order in which journal and transports are heard, the same releases give the same window.

| at the close | verdict | reason |
|---|---|---|
| more waited than may be held | inconclusive | what waited was more than ... |
| the journal was not read to the window's end, or began a new epoch, or had lost what was asked for | inconclusive | why |
| a transport was first reached after the window began, or was away all of it | inconclusive | which, and why |
| a transport is away, and misses some of it | inconclusive | which, and why |
| `serve` did not say what it refused | inconclusive | that |
| something was received before it was committed | inconclusive | the clocks are apart |
| nothing was committed | inconclusive | that: absence is no success |
| none of these, whatever is missing | pass | it is evidence, and the gates judge it |
| the witness ends first | terminated | that |

| a release of a position | counts as |
|---|---|
| new, above all that this transport released | received |
| new, below that | received, and out of order |
| of an event that this transport released before | duplicate |
| of a window that is closed, or from before the witness began | nothing: it was counted, or never will be |
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec

from migctl.events import Position
from migctl.events.times import micros_of, parse_time
from migctl.subscriber.core.release import Release
from migctl.validate.witness.minute import QUIET, Minute
from migctl.validate.witness.silence import Silence
from migctl.validate.witness.sums import TRANSPORTS, Counted, Sums

MARKER = "sys.marker"
# Of one event beside its body, about.
_EVENT_BYTES = 1000
# A time that is further from the open window than this is a mistake of some clock.
_AHEAD = 64
_MOST_MARKERS = 64
_MOST_ABSENCES = 64

_Key = tuple[str, int]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """window_s: a window's length. grace_s: after its end. max_bytes: of what waits for the journal or a transport."""

    window_s: float = 60.0
    grace_s: float = 5.0
    max_bytes: int = 128 << 20


class _Event(msgspec.Struct):
    """One that waits. window: None until the journal had it. heard: the first release of each transport."""

    window: int | None = None
    truth: Release | None = None
    heard: dict[str, Release] = {}


class _Presence:
    """Whether one transport is attached: since when, and when it was not."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._ready_us: int | None = None
        self._away: deque[tuple[int, int]] = deque(maxlen=_MOST_ABSENCES)
        self._down: tuple[int, str] | None = (0, "it did not answer yet")

    def is_up(self, at_us: int) -> None:
        self._ready_us = at_us if self._ready_us is None else self._ready_us
        if self._down is not None:
            self._away.append((self._down[0], at_us))
            self._down = None

    def is_down(self, at_us: int, reason: str) -> None:
        self._down = (self._down[0] if self._down is not None else at_us, reason)

    @property
    def now(self) -> tuple[bool, int | None, str | None]:
        """Whether it is attached, since when, and why not. None: it never was."""
        if self._ready_us is None or self._down is not None:
            since, reason = self._down or (0, None)
            return False, since if self._ready_us is not None else None, reason
        return True, self._away[-1][1] if self._away else self._ready_us, None

    def missed(self, start_us: int, end_us: int, *, misses: bool) -> str | None:
        """Why this window can't judge it. misses: it did not release all of it."""
        why = f": {self._down[1]}" if self._down is not None else ""
        if self._ready_us is None:
            return f"{self._name} was not reached yet{why}"
        if self._ready_us > start_us:
            return f"{self._name} was first reached after the window began"
        if any(begin <= start_us and end >= end_us for begin, end in self._away):
            return f"{self._name} was away all the time"
        if self._down is not None and (misses or self._down[0] <= start_us):
            return f"{self._name} is away{why}"
        return None


class Windows:
    """began_at: of the witness. The window in which it began is left out: it was not observed whole."""

    def __init__(self, began_at: datetime, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._length_us = round(self._limits.window_s * 1_000_000)
        self._grace_us = round(self._limits.grace_s * 1_000_000)
        self._open = micros_of(began_at) // self._length_us + 1  # the first that is not closed
        self._sums: dict[int, Sums] = {}
        self._events: dict[_Key, _Event] = {}
        self._held = 0
        self._read_to: _Key | None = None  # the last of the journal
        self._begin: _Key | None = None  # what came before is none of ours
        self._journal_us: int | None = None  # since when it is read
        self._read_us = 0
        self._unread = "it was not reached yet"
        self._last: dict[str, _Key] = {}
        self._presence = {name: _Presence(name) for name in TRANSPORTS}
        self._silence = {name: Silence(self._waiting(name)) for name in TRANSPORTS}
        self._marks: dict[int, Counted] = {}
        self.markers: dict[str, set[str]] = {}  # the latest, by position: the transports that released each
        self.heard_from: dict[str, str] = {}  # transport: the position after which nothing of it is missed

    @property
    def held_bytes(self) -> int:
        """What waits, about."""
        return self._held

    @property
    def journal_is_read(self) -> bool:
        """Whether it was reached, so that what is committed from now on is read."""
        return self._begin is not None

    def presence(self, transport: str) -> tuple[bool, int | None, str | None]:
        """Whether it is attached now, since when (us), and why not."""
        return self._presence[transport].now

    # What is heard

    def journal_begins(self, epoch: str, seq: int, at: datetime, *, reason: str | None = None) -> None:
        """What comes after this position is read. reason: why some of it was missed since it was read last; None at the start."""
        self._read_to = self._begin = (epoch, seq)
        at_us = micros_of(at)
        self._journal_us = at_us if self._journal_us is None else self._journal_us
        for index in range(self._read_us // self._length_us, at_us // self._length_us + 1) if reason else ():
            sums = self._sums_of(index)
            if sums is not None:
                sums.spoil(reason or "")

    def journal(self, event: Release) -> None:
        """The next of the journal. Raises ValueError where its time can't be read."""
        committed_us = micros_of(parse_time(event.committed_at or event.timestamp))
        parse_time(event.timestamp)
        key, index = (event.epoch, event.seq), committed_us // self._length_us
        if self._was_read(key):
            return
        self._read_to = key
        sums = self._sums_of(index)
        if sums is None or sums.overrun:
            self._drop(key)
            return
        sums.took(event)
        waiting = self._hold(key, event, index)
        if waiting is not None:
            waiting.window, waiting.truth = index, event
            self._settle_whole(key, waiting, sums)

    def journal_read(self, up_to: datetime) -> None:
        """All that was committed up to then was read."""
        self._read_us = max(self._read_us, micros_of(up_to))

    def journal_away(self, reason: str) -> None:
        """It can't be read now."""
        self._unread = reason

    def released(self, transport: str, release: Release) -> None:
        """One transport handed this out."""
        key, committed_us = (release.epoch, release.seq), _committed(release)
        last, waiting = self._last.get(transport), self._events.get(key)
        below = last is not None and last[0] == key[0] and key[1] <= last[1]
        known = waiting is not None and waiting.window is not None
        index = (
            waiting.window
            if waiting is not None and waiting.window is not None
            else committed_us // self._length_us
        )
        sums = None if self._is_before(key) else self._sums_of(index)
        gone = waiting is None and self._was_read(key)
        if (waiting is not None and transport in waiting.heard) or (below and gone):
            if sums is not None:
                sums.sides[transport].duplicates += 1
            return
        self._silence[transport].released(committed_us, micros_of(release.received_at))
        if not below:
            self._last[transport] = key
        if sums is None:
            return
        if below:
            sums.sides[transport].out_of_order += 1
        if release.event_type == MARKER:
            self._mark(transport, release, sums)
        if gone or (sums.overrun and not known):
            return
        waiting = self._hold(key, release, index)
        if waiting is not None:
            waiting.heard[transport] = release
            self._settle_whole(key, waiting, sums)

    def hears(self, transport: str, after: Position | None) -> None:
        """It was attached: what comes after this position is heard. None: nothing was there before. The first word stands."""
        self.heard_from.setdefault(transport, f"{after.epoch}/{after.seq}" if after is not None else "/0")

    def is_up(self, transport: str, at: datetime) -> None:
        self._presence[transport].is_up(micros_of(at))

    def is_down(self, transport: str, at: datetime, reason: str) -> None:
        self._presence[transport].is_down(micros_of(at), reason)

    def counted(self, at: datetime, count: Counted) -> None:
        """What `serve` has counted by then. The first word after a window's bound stands for the bound."""
        self._marks.setdefault(micros_of(at) // self._length_us, count)

    # What comes out

    def tick(self, now: datetime) -> list[Minute]:
        """The windows that are over, with their grace."""
        return list(self._closed(micros_of(now)))

    def end(self, now: datetime) -> list[Minute]:
        """The witness ends: what is over, and each window that it cut short."""
        now_us = micros_of(now)
        found = list(self._closed(now_us))
        while self._open * self._length_us < now_us:
            found.append(self._close(terminated=True))
        return found

    def _closed(self, now_us: int) -> Iterator[Minute]:
        while (self._open + 1) * self._length_us + self._grace_us <= now_us:
            yield self._close()

    def _close(self, *, terminated: bool = False) -> Minute:
        index = self._open
        sums = self._sums_of(index)
        assert sums is not None
        missing = self._settle_rest(index, sums)
        for name in TRANSPORTS:
            self._silence[name].window_ends(sums.end_us, missing[name])
        before, after = self._marks.get(index), self._marks.get(index + 1)
        reason = "the witness ended first" if terminated else self._reason(sums, missing, before, after)
        self._open += 1
        self._sums.pop(index)
        self._marks = {at: count for at, count in self._marks.items() if at >= self._open}
        return sums.close(reason, terminated=terminated, before=before, after=after)

    def _reason(
        self, sums: Sums, missing: dict[str, list[int]], before: Counted | None, after: Counted | None
    ) -> str | None:
        if sums.overrun or sums.spoiled is not None:
            return sums.spoiled
        if self._journal_us is not None and self._journal_us > sums.start_us:
            return "the journal was first read after the window began"
        if self._read_us < sums.end_us:
            return f"the journal was not read to its end: {self._unread}"
        for name in TRANSPORTS:
            missed = self._presence[name].missed(sums.start_us, sums.end_us, misses=bool(missing[name]))
            if missed is not None:
                return missed
        if before is None or after is None:
            return "serve did not say what it refused"
        if sums.skewed:
            return "something was received before it was committed: the clocks are apart"
        return None if sums.expected else QUIET

    def _settle_rest(self, index: int, sums: Sums) -> dict[str, list[int]]:
        """Settle what waits of this window, forget what waits from before its end; the commits that each transport misses."""
        missing: dict[str, list[int]] = {name: [] for name in TRANSPORTS}
        for key, event in list(self._events.items()):
            if event.truth is None:
                if all(_committed(release) < sums.end_us for release in event.heard.values()):
                    self._drop(key)
            elif event.window == index:
                for name in TRANSPORTS:
                    if name not in event.heard:
                        missing[name].append(_committed(event.truth))
                self._drop(key)
                sums.settle(event.truth, event.heard)
        return missing

    def _settle_whole(self, key: _Key, event: _Event, sums: Sums) -> None:
        if event.truth is not None and len(event.heard) == len(TRANSPORTS):
            self._drop(key)
            sums.settle(event.truth, event.heard)

    def _sums_of(self, index: int) -> Sums | None:
        """None of a window that is closed, or so far ahead that some clock is wrong."""
        sums = self._sums.get(index)
        if sums is None and self._open <= index < self._open + _AHEAD:
            sums = self._sums[index] = Sums(index * self._length_us, (index + 1) * self._length_us)
        return sums

    def _hold(self, key: _Key, what: Release, index: int) -> _Event | None:
        """None where no more can be held: then its window is no evidence, and nothing of it is."""
        size = _size(what)
        if self._held + size > self._limits.max_bytes:
            self._overrun(index)
            return None
        self._held += size
        return self._events.setdefault(key, _Event())

    def _overrun(self, index: int) -> None:
        sums = self._sums[index]
        sums.overrun = True
        sums.spoil(f"what waited was more than {self._limits.max_bytes >> 20} MiB")
        for key, event in list(self._events.items()):
            held = event.window
            if held is None:
                held = min(_committed(one) for one in event.heard.values()) // self._length_us
            if held == index:
                self._drop(key)

    def _drop(self, key: _Key) -> None:
        event = self._events.pop(key, None)
        if event is not None:
            held = [*event.heard.values(), *([event.truth] if event.truth is not None else [])]
            self._held -= sum(_size(one) for one in held)

    def _was_read(self, key: _Key) -> bool:
        return self._read_to is not None and self._read_to[0] == key[0] and key[1] <= self._read_to[1]

    def _is_before(self, key: _Key) -> bool:
        return self._begin is not None and self._begin[0] == key[0] and key[1] <= self._begin[1]

    def _mark(self, transport: str, release: Release, sums: Sums) -> None:
        position = f"{release.epoch}/{release.seq}"
        sums.markers.setdefault(position, set()).add(transport)
        self.markers.setdefault(position, set()).add(transport)
        while len(self.markers) > _MOST_MARKERS:
            self.markers.pop(next(iter(self.markers)))

    def _waiting(self, name: str) -> Callable[[int, int], None]:
        def count(begin_us: int, end_us: int) -> None:
            first = max(self._open, begin_us // self._length_us)
            for index in range(first, min(self._open + _AHEAD, -(-end_us // self._length_us))):
                sums = self._sums_of(index)
                if sums is not None:
                    waited = min(end_us, sums.end_us) - max(begin_us, sums.start_us)
                    sums.sides[name].unavailable_us += max(0, waited)

        return count


def _committed(release: Release) -> int:
    """As far as it is known: of a sender that did not know it, the event's own time, or that of its arrival."""
    try:
        return micros_of(parse_time(release.committed_at or release.timestamp))
    except ValueError:
        return micros_of(release.received_at)


def _size(release: Release) -> int:
    return len(release.data) + _EVENT_BYTES
