"""Merging: what one socket of the old protocol gets of two sources that may say the same. Nothing twice; nothing waits. Pure.

What the old service sends is a frame; what the journal has is an entry, `tapped` where it came from the old service by the tap,
else `published`. Each frame is paired with at most one entry of either kind, and the other way round: of equal content, within a
window.

| comes | there is already | it is |
|---|---|---|
| a frame | its tapped entry, or an equal published one, sent | a double |
| a frame | its tapped entry, not sent | sent |
| a frame, fed by the journal alone | none of these | left to its tapped entry |
| a frame | none of these | sent |
| a published entry | an equal frame, sent | a double |
| a published entry | no such frame | sent, where the journal feeds |
| a tapped entry | its frame, sent | a double |
| a tapped entry, the old service is here and feeds | no such frame | owed: its frame is on the way |
| a tapped entry, otherwise | an equal published one, sent | a double |
| a tapped entry, otherwise | none of these | sent |

What is owed when the old service goes, or a moment after it came back, is sent then. Two times of producers that differ make two
contents; one that is missing goes with any.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from datetime import datetime
from hashlib import blake2b
from typing import Literal, NamedTuple

from migctl.events import Event
from migctl.events.canonical import canonical
from migctl.events.jsontext import quote

Feeding = Literal["upstream", "both", "journal"]
# Of a published entry. lacking: the socket does not have it, since the journal does not feed it.
Outcome = Literal["sent", "double", "lacking"]

# Beyond it the oldest is forgotten, as after the window.
MOST_UNPAIRED = 10_000


class Content(NamedTuple):
    """What makes two events of two sources the same. at: as the producer said it; None where it said none."""

    digest: bytes
    at: datetime | None


def content_of(event: Event) -> Content:
    text = b"[%b,%b]" % (quote(event.event_type), canonical(event.data))
    at = None if event.clock == "arrival" else event.timestamp
    return Content(blake2b(text, digest_size=16).digest(), at)


class _One:
    __slots__ = ("content", "frame", "moment", "taken")

    def __init__(self, content: Content, moment: float, frame: bytes) -> None:
        self.content, self.moment, self.frame = content, moment, frame
        self.taken = False


class Unpaired:
    """What came of one source and has no counterpart yet; each is forgotten after within_s."""

    def __init__(self, within_s: float, *, most: int = MOST_UNPAIRED) -> None:
        self.within_s = within_s
        self._most = most
        self._order: deque[_One] = deque()
        self._by_digest: defaultdict[bytes, deque[_One]] = defaultdict(deque)

    def add(self, content: Content, moment: float, frame: bytes = b"") -> None:
        one = _One(content, moment, frame)
        self._order.append(one)
        self._by_digest[content.digest].append(one)
        if len(self._order) > self._most:
            self._forget()

    def take(self, content: Content, moment: float) -> bool:
        """True where an equal one was there, which now has its counterpart."""
        while self._order and (self._order[0].taken or self._order[0].moment < moment - self.within_s):
            self._forget()
        for one in self._by_digest.get(content.digest, ()):
            if content.at is None or one.content.at is None or content.at == one.content.at:
                self._part(one)
                return True
        return False

    def drain(self, moment: float) -> Iterator[tuple[Content, bytes]]:
        """Those that are left, in order; none is, afterwards."""
        left, self._order = self._order, deque()
        self._by_digest.clear()
        return (
            (one.content, one.frame) for one in left if not one.taken and one.moment >= moment - self.within_s
        )

    def _forget(self) -> None:
        one = self._order.popleft()
        if not one.taken:
            self._part(one)

    def _part(self, one: _One) -> None:
        one.taken = True
        same = self._by_digest[one.content.digest]
        same.remove(one)
        if not same:
            del self._by_digest[one.content.digest]


class Merging:
    """Of one socket. Each method says whether it is sent. moment: monotonic seconds."""

    def __init__(self, within_s: float) -> None:
        self._frames = Unpaired(within_s)  # sent, for published entries
        self._published = Unpaired(within_s)  # sent, for frames
        self._frames_of_tap = Unpaired(within_s)  # sent, for tapped entries
        self._owed = Unpaired(within_s)  # tapped, not sent, for frames
        self._tapped = Unpaired(within_s)  # sent, for frames

    def frame(self, content: Content, feeding: Feeding, moment: float) -> bool:
        """One came from the old service."""
        if self._tapped.take(content, moment):
            return False
        if self._published.take(content, moment):
            if not self._owed.take(content, moment):
                self._frames_of_tap.add(content, moment)
            return False
        if not self._owed.take(content, moment):
            if feeding == "journal":
                return False
            self._frames_of_tap.add(content, moment)
        self._frames.add(content, moment)
        return True

    def published(self, content: Content, feeding: Feeding, moment: float) -> Outcome:
        """The journal has one that came otherwise than by the tap."""
        if self._frames.take(content, moment):
            return "double"
        if feeding == "upstream":
            return "lacking"
        self._published.add(content, moment)
        return "sent"

    def tapped(self, content: Content, frame: bytes, feeding: Feeding, moment: float, *, is_up: bool) -> bool:
        """The journal has one by the tap. frame: what would be sent. is_up: the old service is here."""
        if self._frames_of_tap.take(content, moment):
            return False
        if is_up and feeding != "journal":
            self._owed.add(content, moment, frame)
            return False
        return self._in_its_place(content, moment)

    def settled(self, moment: float) -> list[bytes]:
        """The frames to send in the place of those that are owed, and may never come; one that does is a double."""
        owed = list(self._owed.drain(moment))
        return [frame for content, frame in owed if self._in_its_place(content, moment)]

    def _in_its_place(self, content: Content, moment: float) -> bool:
        """A tapped entry for its frame, which may come all the same."""
        if self._published.take(content, moment):
            return False
        self._tapped.add(content, moment)
        self._frames.add(content, moment)
        return True
