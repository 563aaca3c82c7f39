"""What one reader received: one run of positions, from where it asked on. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Place = tuple[str, int]
Found = Iterator[tuple[str, str]]


class Reader:
    """kind: of protocol. is_run: every position must come, in order; else it may miss some (hints, changes).

    markers: of a protocol without positions, what came on each connection.
    """

    def __init__(self, name: str, kind: str, is_run: bool) -> None:
        self.name = name
        self.kind = kind
        self.runs = 0
        self.markers: list[list[str]] = []
        self._is_run = is_run
        self._last: Place | None = None
        self._asked: Place | None = None
        self._floor = 0
        self._is_fresh = False

    def open(self, after: Place | None, floor: int) -> Found:
        """It asks for what is after this position, or for what is new. floor: the highest seq acknowledged by now."""
        self.runs += 1
        self.markers.append([])
        last = self._last
        if after is not None and last is not None and (after[0] != last[0] or after[1] > last[1]):
            yield "gap", f"{self.name} asks from {after} on, and has no more than {last}"
        self._asked, self._floor = after, floor
        # From now on, without an answer that says where that is: from whatever comes first.
        self._is_fresh = after is None
        if self._is_run and after is not None:
            self._last = after

    def hello(self, record: Mapping[str, Any]) -> Found:
        """Where it begins, as it is answered."""
        head = record["head"]
        if head < self._floor:
            yield "behind", f"{self.name} is answered the head {head}, below the acknowledged {self._floor}"
        if not self._is_run:
            return
        self._is_fresh = False
        resume, asked = record["resume"], self._asked
        if asked is None:
            if resume != "fresh":
                yield "resume", f"{self.name} asked for what is new, and is answered {resume}"
            self._last = (record["epoch"], head)
        elif resume != "recovered":
            if not (resume == "unrecoverable" and asked[1] + 1 < record["tail"]):
                yield (
                    "resume",
                    f"{self.name} asked from {asked} on: {resume}, {record['reason']}, tail {record['tail']}",
                )
            self._last = (record["epoch"], head)

    def gone(self, tail: int) -> Found:
        """Its position is not held any more; it begins anew with what is."""
        asked, self._last = self._asked, None
        if asked is None or asked[1] + 1 >= tail:
            yield "resume", f"{self.name} asked from {asked} on: gone, and the tail is {tail}"

    def event(self, place: Place) -> Found:
        """The next that it received."""
        last = self._last
        if not self._is_run:
            return
        if self._is_fresh:
            self._is_fresh = False
        elif last is None or place[0] != last[0]:
            yield "gap", f"{self.name} received {place} after {last}"
        elif place[1] > last[1] + 1:
            yield "gap", f"{self.name} received {place[1]} after {last[1]}"
        elif place[1] <= last[1]:
            yield "repeat", f"{self.name} received {place[1]} after {last[1]}"
        self._last = place

    def finish(self, places: Mapping[str, Place], end: Place) -> Found:
        """places: of each event. end: the journal's head; whoever has a run is there."""
        if self._is_run and self.kind != "legacy" and self._last != end:
            yield "late", f"{self.name} ends at {self._last}, and the journal at {end}"
        last = 0
        for connection in self.markers:
            for number, marker in enumerate(connection):
                if marker not in places:
                    yield "lost", f"{self.name} received {marker}, which nobody else has"
                    continue
                seq = places[marker][1]
                if seq <= last:
                    yield "repeat", f"{self.name} received {marker} at {seq} after {last}"
                elif number and seq != last + 1:
                    yield "gap", f"{self.name} received {marker} at {seq} after {last}"
                last = seq
