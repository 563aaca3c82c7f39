"""Frames: what a tap has heard and the journal does not have yet, and since when something may be missing. Pure: given the time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from migctl.events import BadEvent, Event
from migctl.events.codec import check_data, too_deep
from migctl.events.jsontext import TooDeep, TooMany, split_array
from migctl.ingest.mapping import Mapper
from migctl.transports.websocket.frames import LegacyFrame

# An event without a time has that of its arrival, which nobody asks for here.
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_WHITE = b" \t\r\n"

# Below this share of its bound a buffer that was full counts as drained.
_DRAINED = 1 / 4


class Frames:
    """A buffer of frames, bounded by their bytes. `next` takes one in hand; what is in hand is stored, or waits, together.

    | in hand | waiting | `stored_until(now)`               | `next`                         | `stored`                          |
    |---------|---------|-----------------------------------|--------------------------------|-----------------------------------|
    | nothing | nothing | now                               | None                           | as before                         |
    | nothing | frames  | the arrival of the first          | the first; it is in hand       | as before                         |
    | frames  | nothing | the arrival of the oldest in hand | None                           | nothing is in hand; room for them |
    | frames  | frames  | the arrival of the oldest in hand | the first; it is in hand too   | nothing is in hand; room for them |

    `stored_until(now)`: all that was heard before is in the journal.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._waiting: deque[tuple[bytes, datetime]] = deque()
        self._in_hand: list[tuple[bytes, datetime]] = []
        self.bytes = 0

    def __len__(self) -> int:
        """Frames that are not stored."""
        return len(self._waiting) + len(self._in_hand)

    @property
    def is_full(self) -> bool:
        return self.bytes >= self._max_bytes

    @property
    def is_drained(self) -> bool:
        return self.bytes <= self._max_bytes * _DRAINED

    def add(self, frame: bytes, arrived: datetime) -> None:
        """One more was heard. It is taken though the buffer is full then: who adds looks at `is_full`."""
        self._waiting.append((frame, arrived))
        self.bytes += len(frame)

    def next(self) -> tuple[bytes, datetime] | None:
        """One more to store with what is in hand, and when it came; None where none waits."""
        if not self._waiting:
            return None
        self._in_hand.append(self._waiting.popleft())
        return self._in_hand[-1]

    def stored(self) -> None:
        """What is in hand is in the journal."""
        self.bytes -= sum(len(frame) for frame, _ in self._in_hand)
        self._in_hand = []

    def stored_until(self, now: datetime) -> datetime:
        oldest = self._in_hand or self._waiting
        return oldest[0][1] if oldest else now


def events_of(frame: bytes) -> list[bytes]:
    """The texts in a frame: the frame itself, or the items of an array. Raises BadEvent for an array that is none."""
    if frame.lstrip(_WHITE)[:1] != b"[":
        return [frame]
    try:
        return split_array(frame)
    except TooDeep:
        raise too_deep("") from None
    except TooMany as error:
        raise BadEvent("", "large", f"has more than {error.most} items") from None
    except ValueError as error:
        raise BadEvent("", "json", f"is no JSON array: {error}") from None


def reader(mapper: Mapper) -> Callable[[bytes], list[Event]]:
    """What finds the events in a frame; none in one that a source would ignore or reject."""

    def events_in(frame: bytes) -> list[Event]:
        found: list[Event] = []
        with suppress(BadEvent):
            for text in events_of(frame):
                event = mapper.event(text, arrived=_NEVER)
                if event is not None:
                    found.append(event)
        return found

    return events_in


def contents(mapper: Mapper, frame: LegacyFrame) -> Callable[[bytes], list[tuple[str | None, bytes]]]:
    """What finds type and data of the events in a frame, as `reader`; of frames that are the data alone, no type."""
    events_in = reader(mapper)

    def typed(text: bytes) -> list[tuple[str | None, bytes]]:
        return [(event.event_type, event.data) for event in events_in(text)]

    def untyped(text: bytes) -> list[tuple[str | None, bytes]]:
        with suppress(BadEvent):
            return [(None, check_data(text))]
        return []

    return typed if frame == "envelope" else untyped


def lost_since(heard: datetime, ended: datetime, *, unanswered_s: float | None) -> datetime:
    """Since when frames may be missing, of a connection that ended. heard: when the last frame came.

    unanswered_s: no pong came, and so long after it was asked for the connection was given up: it may have been dead since before.
    """
    return ended if unanswered_s is None else max(heard, ended - timedelta(seconds=unanswered_s))
